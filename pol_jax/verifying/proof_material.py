"""The committed states, inputs and rows of a proof are read from its directory when a comparison asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np

from pol_jax.program.artifact import Program
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.task import Source
from pol_jax.verifying.checks import Checked

KEPT_BYTES: Final = 2**24
"""Inputs of a span that take no more bytes than this are kept, so that they are read and checked once."""


@dataclass(frozen=True)
class ProofMaterial:
    """This material is the `CommittedSteps` of a proof's directory.

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
        """Return the commitment of the run."""
        return self.checked.proof.commitment

    @property
    def program(self) -> Program:
        """Return the committed program."""
        return self.checked.program

    def state(self, step: int) -> list[np.ndarray]:
        """Return the leaves of a checkpoint."""
        return self.checked.proof.host_leaves(step)

    def inputs(self, span: Span) -> _Inputs:
        """Return the inputs of steps; they are read anew at each iteration, unless they are small."""
        return _Inputs(self, span)

    def rows_of(self, span: Span) -> Iterator[Row]:
        """Return the ledger's rows of steps, in order."""
        return islice(self.checked.proof.rows_after(span.start), len(span.steps))


@dataclass(frozen=True)
class _Inputs:
    """These inputs of the steps of a span are the same for every compilation of a program.

    They stay in memory once they have been read and checked, unless they are large: then each iteration does so anew.
    """

    material: ProofMaterial
    span: Span
    _kept: list[StepInput] = field(default_factory=list)

    def __iter__(self) -> Iterator[StepInput]:
        if self._kept:
            yield from self._kept
            return
        read, left = list[StepInput](), KEPT_BYTES
        for each in self._read():
            left -= sum(leaf.nbytes for leaf in (*each.batch, *each.changed.values()))
            if left >= 0:
                read.append(each)
            else:
                # Not all of them fit any more, so that none is worth its memory.
                read.clear()
            yield each
        if left >= 0:
            # Only here, after the last one: whoever iterates may leave earlier.
            self._kept[:] = read

    def _read(self) -> Iterator[StepInput]:
        material = self.material
        proof, span = material.checked.proof, self.span
        inputs = step_inputs(material.commitment, material.source, span.start + 1, span.stop + 1, proof.changes)
        for each in inputs:
            # A source may give other values at each reading, so whatever is used has been checked in this very reading.
            material.records.check(each.batch, each.indices)
            yield each
