"""What the replays of a proof's directory show; and where bits say nothing, what is compared instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec
import numpy as np

from pol_jax.checkpoints import load_checkpoint
from pol_jax.checks import Checked
from pol_jax.commitment import Commitment
from pol_jax.inputs import StepInput, step_inputs
from pol_jax.ledger import Row, Segments
from pol_jax.opening import Span
from pol_jax.program import Program
from pol_jax.records import CommittedRecords
from pol_jax.replay import Replayed, Replayer
from pol_jax.report import Compared
from pol_jax.route import Piece
from pol_jax.task import Source
from pol_jax.tolerance import Closeness
from pol_jax.verdict import Evidence

SELF_TEST_STEPS = 10
"""How many first steps show whether this backend can judge exactly."""


def gather(
    replayer: Replayer, pieces: Sequence[Piece], segments: Segments, changed: Sequence[str]
) -> tuple[Evidence, list[Replayed]]:
    """Replay the self-test and the pieces with the challenged segments; the first that differs twice.

    Returns:
        What that shows, and the replays of ``pieces``.
    """
    initial = replayer.initial_is_exact()
    self_test = Piece(0, min(SELF_TEST_STEPS, segments.bounds(0)[1]))
    (first,) = replayer.replay([self_test])
    hopeless = changed and not first.exact
    pieces = [] if hopeless else pieces
    replays = list(replayer.replay(pieces))
    false = [pair for pair in zip([self_test, *pieces], [first, *replays], strict=True) if not pair[1].exact][:1]
    again = list(replayer.replay(piece for piece, _ in false))
    challenged = [
        replayed.of(*segments.bounds(segment))
        for piece, replayed in zip(pieces, replays, strict=True)
        for segment in piece.segments
    ]
    repeatable = again == [replayed for _, replayed in false]
    return Evidence(changed, initial, first, challenged, repeatable), replays


def recheck(replayer: Replayer, compared: Sequence[Compared]) -> list[Compared]:
    """Leave open what ends bit for bit and doesn't pass through the ledger's states: no rounding comes and goes so.

    A prover's backend that differs only in what the next step forgets would; so it is not refused.

    Raises:
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
    """
    return [
        _left_open(replayer, each) if each.start >= 0 and each.passed and each.error == 0 else each for each in compared
    ]


def _left_open(replayer: Replayer, compared: Compared) -> Compared:
    (replayed,) = replayer.replay([Piece(compared.start, compared.stop)])
    if "state_digest" not in replayed.fields:
        return compared
    reason = f"its last state comes out bit for bit, but not the one after step {replayed.mismatch}"
    return msgspec.structs.replace(compared, outcome=Closeness.INCONCLUSIVE, reasons=(reason,))


@dataclass(frozen=True)
class ProofMaterial:
    """What `pol_jax.comparison` needs of a proof's directory.

    Attributes:
        checked: passed stages 1 to 6.
        source: the verifier's records.
        records: the committed ones.
    """

    checked: Checked
    source: Source
    records: CommittedRecords

    @property
    def commitment(self) -> Commitment:
        """Parsed."""
        return self.checked.proof.commitment

    @property
    def program(self) -> Program:
        """Loaded."""
        return self.checked.program

    def state(self, step: int) -> list[np.ndarray]:
        """Leaves of a checkpoint."""
        return load_checkpoint(self.checked.proof.root, step, self.commitment.state)

    def inputs(self, span: Span) -> _Inputs:
        """Of its steps, read anew at each iteration."""
        return _Inputs(self, span)

    def rows_of(self, span: Span) -> Iterator[Row]:
        """Of its steps, in order."""
        return islice(self.checked.proof.rows_after(span.start), len(span.steps))


@dataclass(frozen=True)
class _Inputs:
    """Inputs of the steps of a span, that may be iterated again and don't stay in memory."""

    material: ProofMaterial
    span: Span

    def __iter__(self) -> Iterator[StepInput]:
        material = self.material
        for each in step_inputs(material.commitment, material.source, self.span.start + 1, self.span.stop + 1):
            material.records.check(each.batch, each.indices)
            yield each
