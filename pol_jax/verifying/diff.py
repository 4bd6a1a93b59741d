"""Two runs are compared by their ledgers, without replay: the first step at which they diverge is found."""

from __future__ import annotations

from dataclasses import dataclass

from pol_jax.protocol.differences import differing_fields
from pol_jax.protocol.rows import differing_columns
from pol_jax.storage.proof import Proof


@dataclass(frozen=True)
class Difference:
    """A difference says how two proofs differ; its truth value is "they differ".

    Attributes:
        commitments: fields in which the commitments differ, with both values; empty if they are equal.
        step: the first step at which the runs diverge, or None.
        fields: the columns in which the rows of that step differ.
        common: how many steps both runs have.
        steps: of each run.
    """

    commitments: list[tuple[str, str, str]]
    step: int | None
    fields: list[str]
    common: int
    steps: tuple[int, int]

    def __bool__(self) -> bool:
        """Return whether there is any difference within the common steps, or in the commitments."""
        return bool(self.commitments) or self.step is not None


def diff(a: Proof, b: Proof) -> Difference:
    """Compare two proofs, finished or not: their commitments, then row by row."""
    fields = differing_fields(a.commitment, b.commitment)
    steps = (a.last_step, b.last_step)
    common = min(steps)
    # Another commitment gives other keys and batches from step 1 on, so that a differing row would tell nothing.
    if fields:
        return Difference(fields, None, [], common, steps)
    for x, y in zip(a.rows(), b.rows(), strict=False):
        if x != y:
            return Difference([], x.step, differing_columns(x, y), common, steps)
    return Difference([], None, [], common, steps)
