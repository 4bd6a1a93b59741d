"""Replay: the loop with a comparer. From a checkpointed state, bit for bit against the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from pol_jax.checkpoints import load_checkpoint
from pol_jax.checks import Checked
from pol_jax.inputs import step_inputs
from pol_jax.keys import step_keys
from pol_jax.ledger import Row, differences, read_row, read_segment
from pol_jax.loop import Following, Witness, run
from pol_jax.program import executing
from pol_jax.progress import Progress
from pol_jax.records import CommittedRecords
from pol_jax.states import HostState, Layout
from pol_jax.task import Source


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes:
        start: the step of the state that it began with.
        stop: the last step that it was to reach.
        mismatch: the first step whose row came out otherwise, or None.
        fields: the columns in which that row differs.
        got: digest of that row as replayed; tells two replays apart.
    """

    start: int
    stop: int
    mismatch: int | None = None
    fields: tuple[str, ...] = ()
    got: bytes = b""

    @property
    def exact(self) -> bool:
        """Whether every step came out bit for bit."""
        return self.mismatch is None


@dataclass(frozen=True)
class Piece:
    """What to replay: a segment, or its first ``most`` steps."""

    segment: int
    most: int | None = None


@dataclass(frozen=True)
class _Start:
    """The steps (start, stop] of a replay, their rows by step, and the state to begin with."""

    start: int
    stop: int
    rows: Mapping[int, Row]
    state: Sequence[np.ndarray]


class Replayer:
    """Replays pieces of one proof with the verifier's own records."""

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
        self._layout = Layout(proof.commitment.state)
        self._witness = Witness(
            self._layout, CommittedRecords(checked.records, secret), lambda step: schedule.has_witness(step, steps)
        )
        self._done = 0

    def initial_is_exact(self) -> bool:
        """Whether the init program gives the ledger's initial state under the key of step 0."""
        proof = self._checked.proof
        key = step_keys(proof.commitment.digest(), proof.commitment.schedule.prng, 0, 1)[0]
        with executing():
            state = self._layout.gather([np.asarray(leaf) for leaf in self._checked.program.init(key)])
        return self._witness.initial(key, state) == read_row(proof.root, proof.segments, 0)

    def replay(self, pieces: Iterable[Piece]) -> Iterator[Replayed]:
        """Replay pieces one after the other; the next one's start is read while one runs.

        Raises:
            DataError: the source's records are not the committed ones.
            BackendError: the program can't be executed here.
        """
        with ThreadPoolExecutor(1, "pol-start") as pool:
            begun: deque[Future[_Start]] = deque()
            for piece in pieces:
                begun.append(pool.submit(self._start, piece))
                if len(begun) > 1:
                    yield self._run(begun.popleft().result())
            while begun:
                yield self._run(begun.popleft().result())

    def _start(self, piece: Piece) -> _Start:
        """Read what a replay begins with and is compared with."""
        proof = self._checked.proof
        start, stop = proof.segments.bounds(piece.segment)
        stop = stop if piece.most is None else min(stop, start + piece.most)
        rows = read_segment(proof.root, piece.segment, proof.segments.rows(piece.segment))
        state = load_checkpoint(proof.root, start, self._layout.spec)
        return _Start(start, stop, {row.step: row for row in rows}, state)

    def _run(self, begun: _Start) -> Replayed:
        comparer = _Comparer(begun.rows, begun.start, begun.stop, self._report)
        try:
            with executing(), Following(self._checked.program, self._witness, comparer) as following:
                inputs = step_inputs(self._checked.proof.commitment, self._source, begun.start + 1, begun.stop + 1)
                run(self._checked.program, tuple(jnp.array(leaf) for leaf in begun.state), inputs, following)
        except _Mismatch as mismatch:
            return mismatch.replayed
        return Replayed(begun.start, begun.stop)

    def _report(self, row: Row) -> None:
        self._done += 1
        self._progress.at(self._done, row.loss_value)


class _Comparer:
    """An observer of the loop that compares each row with the ledger's and stops at the first that differs."""

    def __init__(self, rows: Mapping[int, Row], start: int, stop: int, report: Callable[[Row], None]) -> None:
        self._rows, self._start, self._stop, self._report = rows, start, stop, report

    def __call__(self, row: Row, state: HostState | None) -> None:
        expected = self._rows[row.step]
        if row != expected:
            fields = tuple(differences(expected, row))
            raise _Mismatch(Replayed(self._start, self._stop, row.step, fields, row.digest()))
        self._report(row)


class _Mismatch(Exception):
    """Ends a replay at the first row that differs."""

    def __init__(self, replayed: Replayed) -> None:
        super().__init__(replayed.mismatch)
        self.replayed = replayed
