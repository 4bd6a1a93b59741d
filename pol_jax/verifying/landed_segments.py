"""The segments of a run that goes on: each is replayed from its checkpoint as soon as it is sealed.

Such a replay is no verdict: the run has no claim yet, and its files may still change. It finds a step whose result
this machine does not get, hours or days before anyone could verify the proof.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pol_jax.errors import BackendError, ProofError, unreadable
from pol_jax.exact import self_test
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.artifact import check_constants, executing
from pol_jax.program.machine import current_environment
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.claim import Claim, EnvironmentFrom, Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.environment import environment_differences
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Segments, Span
from pol_jax.storage.checkpoint_names import checkpoint_name, checkpoint_steps
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.interventions import intervention_name, load_intervention
from pol_jax.storage.inventory import list_files, read_bounded
from pol_jax.storage.ledger import read_row, read_segment, segment_file
from pol_jax.storage.open_run import read_open_run
from pol_jax.storage.proof import Proof
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.inputs import Changed, step_inputs
from pol_jax.training.shards import layout_of
from pol_jax.training.sources import SourceOrFinder
from pol_jax.training.task import Source
from pol_jax.training.witness import Witness
from pol_jax.verifying.agreement import check_state_size
from pol_jax.verifying.row_comparison import RowComparer, placed_program, replay_steps

_ATTEMPTS = 5
"""So often a replay begins anew, because the run has removed the checkpoint that it began with."""


class LandedSegments:
    """Landed segments are the whole ones that a run has sealed; a shorter last one is left to the verification.

    Attributes:
        commitment: of the run.
    """

    def __init__(self, root: Path, limits: Limits, source: SourceOrFinder, secret: bytes | None) -> None:
        """Read commitment, programs and digests of records.

        Args:
            root: the run's directory; at least one segment is sealed.
            limits: bounds on what is read.
            source: the verifier's records, or a function that finds them.
            secret: salts of a private data set.

        Raises:
            ProofError: one of them is damaged, or beyond the limits.
            BackendError: the program can't be executed here.
            DataError: the source's records are not the committed ones.
        """
        self._root, self._limits = root, limits
        self.commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
        commitment, schedule = self.commitment, self.commitment.schedule
        check_state_size(commitment, limits)
        proof = Proof(root, commitment, None, limits)
        records, program = proof.records(), proof.program()
        check_constants(program, limits)
        self._source = source if isinstance(source, Source) else source(commitment)
        self._program = placed_program(program, commitment)
        self._layout = layout_of(self._program)
        self._witness = Witness(
            self._layout,
            CommittedRecords(records, secret if commitment.data.salted else None, commitment.format),
            lambda step: schedule.has_witness(step, 0),  # whole segments end with a checkpoint, whatever T is
            commitment.row_layout,
        )
        # How long the run will be is open, and the bounds of its whole segments don't depend on that.
        self._segments = Segments(2**62, schedule.interval)

    def is_another_run(self) -> bool:
        """Return whether the directory has another commitment now."""
        return Commitment.parse(read_bounded(self._root, commitments.FILE, self._limits)) != self.commitment

    def differences(self) -> Sequence[str]:
        """Return why other bits here would say nothing about the run, one line each: it has another backend."""
        if self.commitment.arithmetic is not None:
            return []
        own, mesh = current_environment(), self.commitment.mesh
        found = environment_differences(self._run()[0][0].environment, own)
        few = mesh is not None and own.device_count < mesh.device_count
        return [*found, "mesh: there are fewer devices here"] if few else found

    def replay(self, segment: int, at: Callable[[Row], None]) -> ReplayResult:
        """Replay a segment; what differs is replayed a second time.

        Args:
            segment: which; it is sealed.
            at: told of each step.

        Raises:
            ProofError: a file is damaged, or a checkpoint is not the state that the ledger says.
            BackendError: this machine gives another result each time, or says nothing about the step that differs.
        """
        span = self._segments.span(segment)
        for attempt in range(_ATTEMPTS):
            begin = self._checkpoint_before(span.start)
            try:
                return self._replay(Span(begin, span.stop), at)
            except ProofError:
                # A run that keeps few checkpoints removes others while it goes on: that is no damage.
                if begin in checkpoint_steps(self._root) or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _replay(self, span: Span, at: Callable[[Row], None]) -> ReplayResult:
        state = self._state(span.start)
        first = self._execute(span, state, at)
        if first.exact:
            return first
        # Twice, because a memory error here would else be reported as the trainer's.
        second = self._execute(span, state, at)
        if second != first:
            raise BackendError(
                f"{describe_difference(first)}, and gives yet another result when it is replayed again: memory"
                " or processor of this machine can't be trusted"
            )
        if why := self._why_open(first):
            raise BackendError(f"{describe_difference(first)}, which proves nothing here ({why})")
        return first

    def _why_open(self, differing: ReplayResult) -> str | None:
        """Return why the step that differs may have other bits here; None if they mean that it is false.

        A run may have gone on in another environment, and this machine may not keep the rules of exact arithmetic.
        """
        if self.commitment.arithmetic is not None:
            tested = self_test()
            return None if tested else str(tested)
        made = [each for each in self._run()[0] if each.start < (differing.mismatch or 0)][-1]
        return "; ".join(environment_differences(made.environment, current_environment())) or None

    def _execute(self, span: Span, state: Sequence[np.ndarray], at: Callable[[Row], None]) -> ReplayResult:
        inputs = step_inputs(self.commitment, self._source, span.start + 1, span.stop + 1, self._changes)
        with executing(self._program.signature):
            leaves = self._program.put(state)
        comparer = RowComparer(self._rows(span), span, at)
        return replay_steps(self._program, self._witness, leaves, inputs, comparer)

    def _state(self, step: int) -> list[np.ndarray]:
        where = checkpoint_name(step)
        try:
            # Names and links first: nothing of a hostile directory is opened before (stage 1).
            list_files(self._root, self._limits, where)
        except OSError as error:  # a file that was listed is gone: the run has removed the checkpoint
            raise unreadable(where, f"can't be read: {error.strerror}", error) from error
        leaves = load_checkpoint(self._root, step, self.commitment.state)
        row = read_row(self._root, self._segments, step, self.commitment.row_layout)
        if self._layout.gather(leaves).digest() != row.state:
            raise ProofError(where, f"its state is not the one in row {step} of the ledger")
        return leaves

    def _rows(self, span: Span) -> Iterator[Row]:
        segments = self._segments
        for segment in range(segments.of_step(span.start + 1), segments.of_step(span.stop) + 1):
            rows = read_segment(self._root, segment, segments.rows(segment), self.commitment.row_layout)
            yield from (row for row in rows if row.step > span.start)

    def _checkpoint_before(self, step: int) -> int:
        """Return the step of the last checkpoint that is there, up to ``step``."""
        steps = checkpoint_steps(self._root)
        if not (before := bisect_right(steps, step)):
            raise ProofError(checkpoint_name(0), "is missing")
        return steps[before - 1]

    def _changes(self, step: int) -> Changed:
        for intervention in self._run()[1]:
            if intervention.after == step:
                list_files(self._root, self._limits, intervention_name(step))
                return load_intervention(self._root, intervention, self.commitment.state)
        return {}

    def _run(self) -> tuple[Sequence[EnvironmentFrom], Sequence[Intervention]]:
        """Return environments and interventions of the run: of its own document, or of the claim, once it has one."""
        # Read anew each time: meanwhile the run may have gone on elsewhere, or been changed from outside.
        open_run = read_open_run(self._root)
        if open_run is not None:
            return open_run.environments, open_run.interventions
        claim = Claim.parse(read_bounded(self._root, claims.FILE, self._limits))
        return claim.environments, claim.interventions


def describe_difference(result: ReplayResult) -> str:
    """Return the step at which a replay differs from the ledger, and in which of its columns."""
    return f"the replay of step {result.mismatch} differs from the ledger ({', '.join(result.fields)})"


def sealed_segments(root: Path, known: int) -> int:
    """Return how many segments are sealed, if ``known`` of them were before."""
    while (root / segment_file(known)).exists():
        known += 1
    return known
