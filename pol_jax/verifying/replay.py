"""A replay (stage 9) runs the training loop from a checkpoint, and compares each row bit for bit with the ledger's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.artifact import Leaves, executing
from pol_jax.progress import Progress
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.reports.comparison import Compared
from pol_jax.storage.checked_leaves import CheckedLeaves
from pol_jax.storage.seen_digests import SeenDigests
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.freed_memory import give_memory_back
from pol_jax.training.initial_state import first_key, taken_of
from pol_jax.training.inputs import step_inputs
from pol_jax.training.shards import layout_of
from pol_jax.training.task import Source
from pol_jax.training.witness import Witness
from pol_jax.verifying.checks import Checked
from pol_jax.verifying.copies import check_copies
from pol_jax.verifying.numeric_comparison import CommittedSteps, compare_initial, compare_spans
from pol_jax.verifying.row_comparison import RowComparer, placed_program, replay_to_state


@dataclass(frozen=True)
class _ReplayStart:
    """The start of a replay is what it needs: the steps, the ledger's rows of these steps, and the state to begin with.

    The state is None where the span before ends in it, and is replayed before. A large one is read leaf by leaf, when
    it is put on the devices. Where the self-test has replayed the first steps of the span, ``tested`` is the state that
    it reached, and rows and replay go on from there.
    """

    span: Span
    rows: Iterator[Row]
    state: Sequence[np.ndarray] | None
    tested: _ReachedState | None = None

    @property
    def first(self) -> int:
        """Return the first step to replay."""
        return (self.tested.step if self.tested else self.span.start) + 1


class Replayer:
    """A replayer replays steps of one proof with the verifier's own records."""

    def __init__(self, checked: Checked, source: Source, secret: bytes | None, progress: Progress) -> None:
        """Replay ``checked`` with records from ``source``.

        Args:
            checked: a proof that passed stages 1 to 6.
            source: the verifier's records.
            secret: salts of a private data set.
            progress: told of the steps.
        """
        self._checked, self._source, self._progress = checked, source, progress
        proof = checked.proof
        schedule, steps = proof.commitment.schedule, proof.segments.steps
        salts = secret if proof.commitment.data.salted else None  # of a chain of proofs, some may be about private data
        # On the mesh of the run, if this machine has as many devices: elsewhere sums have another order.
        self._program = placed_program(checked.program, proof.commitment)
        self._layout = layout_of(self._program)
        self._witness = Witness(
            self._layout,
            CommittedRecords(checked.records, salts, proof.commitment.format),
            lambda step: schedule.has_witness(step, steps),
            proof.commitment.row_layout,
        )
        self._done = 0
        self._tested: _ReachedState | None = None

    def compare_with(self, seen: SeenDigests) -> None:
        """Compare what is read of the proof from now on with ``seen``, as another process saw it."""
        self._checked = replace(self._checked, proof=replace(self._checked.proof, seen=seen))

    def initial_is_exact(self) -> bool:
        """Return whether ``init`` gives the ledger's initial state, but for the leaves that were taken over."""
        proof = self._checked.proof
        takes = proof.commitment.initial.leaves
        given = taken_of(proof.commitment, proof.host_leaves(0)) if takes else {}
        give_memory_back(self._layout.nbytes)  # what the checks of the states have freed
        with executing(self._program.signature):
            started = self._program.start(first_key(proof.commitment), given)
            check_copies(self._program.signature, started)
            state = self._layout.view(started)
        is_exact = self._witness.initial(first_key(proof.commitment), state) == proof.row(0)
        # The replays that follow need this memory for states of their own.
        del state, started, given
        give_memory_back(self._layout.nbytes)  # and what init took beside its results
        return is_exact

    def self_test(self, span: Span) -> ReplayResult:
        """Replay the first steps of the run. If the next replay begins with them too, it goes on from their end.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here.
        """
        result, reached = self._run(self._start(span))
        self._tested = reached if reached.step > 0 else None
        return result

    def replay(self, spans: Iterable[Span]) -> Iterator[ReplayResult]:
        """Replay runs of steps one after the other, each from its checkpoint.

        The next checkpoint is read while a replay runs, so that the device does not wait for the disk. A span that
        begins where the one before ended goes on with the state that was replayed, if that was the ledger's.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here.
        """
        # One thread reads one checkpoint ahead of the device; more of them would only hold more states in memory.
        with ThreadPoolExecutor(1, "pol-start") as pool:
            begun: deque[Future[_ReplayStart]] = deque()
            before, reached = -1, _ReachedState(-1, ())
            for span in spans:
                begun.append(pool.submit(self._start, span, follows=span.start == before))
                before = span.stop
                if len(begun) > 1:
                    result, reached = self._run(begun.popleft().result(), reached)
                    yield result
            while begun:
                result, reached = self._run(begun.popleft().result(), reached)
                yield result

    def replay_states(self, span: Span) -> ReplayResult:
        """Replay steps up to the first state that is not the ledger's, whatever the losses are.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here.
        """
        return self._run(self._start(span), states_only=True)[0]

    def compare_initial(self, material: CommittedSteps) -> Compared:
        """Compare the initial state as numbers; see `pol_jax.verifying.numeric_comparison`."""
        return compare_initial(material)

    def compare_spans(
        self, material: CommittedSteps, spans: Sequence[Span], progress: Progress, equal: Sequence[Span] = ()
    ) -> Iterator[Compared]:
        """Compare spans as numbers; see `pol_jax.verifying.numeric_comparison`."""
        return compare_spans(material, spans, progress, equal=equal)

    def _start(self, span: Span, *, follows: bool = False) -> _ReplayStart:
        """Read what a replay begins with and is compared with; no state, if it follows another replay."""
        proof, tested = self._checked.proof, self._tested
        self._tested = None  # it holds the memory of a state
        # Its rows were compared already. Beyond the end of the self-test there is something left to replay.
        if tested and span.start == 0 and tested.step < span.stop:
            return _ReplayStart(span, proof.rows_after(tested.step), None, tested)
        return _ReplayStart(span, proof.rows_after(span.start), None if follows else proof.checked_leaves(span.start))

    def _run(
        self, begun: _ReplayStart, reached: _ReachedState | None = None, *, states_only: bool = False
    ) -> tuple[ReplayResult, _ReachedState]:
        """Replay a span; return the result, and the state that it reached, if that is the ledger's."""
        proof, span = self._checked.proof, begun.span
        inputs = step_inputs(proof.commitment, self._source, begun.first, span.stop + 1, proof.changes)
        # Rows are compared as they are made, so that a replay ends at the first difference and not at the segment's
        # end.
        comparer = RowComparer(begun.rows, begun.span, self._report, states_only=states_only)
        give_memory_back(self._layout.nbytes)  # what the replay before has freed
        state = self._first_state(begun, reached)
        self._done += begun.first - span.start - 1
        result, last = replay_to_state(self._program, self._witness, state, inputs, comparer)
        # Only a state whose digest was found in the ledger takes the place of the checkpoint.
        is_known = result.exact and self._witness.wants(span.stop)
        return result, _ReachedState(span.stop, last) if is_known else _ReachedState(-1, ())

    def _first_state(self, begun: _ReplayStart, reached: _ReachedState | None) -> Leaves:
        # The self-test has executed these steps already, and found them in the ledger.
        if begun.tested:
            return begun.tested.leaves
        if begun.state is None and reached is not None and reached.step == begun.span.start:
            return reached.leaves
        leaves = self._checked.proof.checked_leaves(begun.span.start) if begun.state is None else begun.state
        with executing(self._program.signature):
            state = self._program.put(leaves)
        if isinstance(leaves, CheckedLeaves):
            leaves.forget()  # the next replay's state may be in memory already; there is no room for a third
        return state

    def _report(self, row: Row) -> None:
        self._done += 1
        self._progress.at(self._done, row.loss)


@dataclass(frozen=True)
class _ReachedState:
    """A reached state lies on the device, after ``step``; the replay after it reuses its memory."""

    step: int
    leaves: Leaves


MakeReplayer: TypeAlias = Callable[[Checked, Source, bytes | None, Progress], Replayer]
"""This function makes what replays a proof: `Replayer` itself, or what shares the work among several processes."""
