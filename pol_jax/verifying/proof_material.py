"""What a comparison within a tolerance needs, from a proof's directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pol_jax.program.artifact import Program
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.task import Source
from pol_jax.verifying.checks import Checked


@dataclass(frozen=True)
class ProofMaterial:
    """`pol_jax.verifying.comparison.Material` of a proof's directory.

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
