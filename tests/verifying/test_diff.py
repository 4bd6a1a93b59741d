"""Two runs differ in their commitments, or else in the first row that is not the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import tiny

from pol_jax.protocol.rows import Row
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.verifying.diff import Difference, diff


class Changed(Proof):
    """A proof whose rows from the ninth on are those of another run."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the proof, changed."""
        yield from (replace(row, metrics=bytes(8)) if row.step >= 9 else row for row in super().rows())


def test_runs_diverge_at_the_first_row_that_differs(plain_proof: Path) -> None:
    same, steps = open_proof(plain_proof), (tiny.STEPS, tiny.STEPS)
    assert diff(same, same) == Difference([], None, [], tiny.STEPS, steps)
    assert not diff(same, same)
    other = Changed(same.root, same.commitment, same.claim)
    found = diff(same, other)
    assert found
    assert found == Difference([], 9, ["loss", "norm"], tiny.STEPS, steps)


def test_runs_of_other_commitments_are_not_compared_row_by_row(plain_proof: Path) -> None:
    same = open_proof(plain_proof)
    committed = msgspec.structs.replace(same.commitment, nonce="another")
    found = diff(same, Changed(same.root, committed, same.claim))
    assert found
    assert found.step is None
    assert found.commitments == [("nonce", "'tests'", "'another'")]
