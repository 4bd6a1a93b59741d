"""The inputs of a span are read and checked once if they are small, and each time if they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from pol_jax.errors import DataError
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.training import inputs
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.records import Arrays
from pol_jax.verifying import proof_material
from pol_jax.verifying.checks import check_commitment, check_files, check_ledger, check_names
from pol_jax.verifying.proof_material import ProofMaterial


class Counted(Arrays):
    """Records that count how often they are asked for."""

    asked = 0

    def records_at(self, indices: np.ndarray) -> Any:
        self.asked += 1
        return super().records_at(indices)


def material(path: Path, source: Arrays) -> ProofMaterial:
    limits = Limits()
    claim, _ = check_files(path, check_names(path, limits), limits)
    checked = check_ledger(check_commitment(path, claim, limits), claim)
    return ProofMaterial(checked, source, CommittedRecords(checked.records))


@pytest.mark.parametrize(("bound", "times"), [(2**24, 1), (1000, 2), (0, 2)], ids=["small", "second is large", "large"])
def test_small_inputs_are_read_once(plain_proof: Path, monkeypatch: pytest.MonkeyPatch, bound: int, times: int) -> None:
    """All of them or none, and they are the same each time."""
    monkeypatch.setattr(proof_material, "KEPT_BYTES", bound)
    monkeypatch.setattr(inputs, "steps_at_once", lambda *_: 1)
    source = Counted(tiny.points())
    found = material(plain_proof, source).inputs(Span(6, 12))
    first, again = list(found), list(found)
    assert source.asked == 6 * times
    assert [each.step for each in first] == [each.step for each in again] == [*range(7, 13)]
    for one, other in zip(first, again, strict=True):
        assert [leaf.tobytes() for leaf in one.batch] == [leaf.tobytes() for leaf in other.batch]


def test_an_iteration_that_is_not_finished_keeps_nothing(plain_proof: Path) -> None:
    found = material(plain_proof, Counted(tiny.points())).inputs(Span(6, 12))
    assert next(iter(found)).step == 7
    assert len(list(found)) == 6


def test_records_that_are_not_the_committed_ones_are_refused_each_time(plain_proof: Path) -> None:
    found = material(plain_proof, Counted(tiny.points(seed=9))).inputs(Span(6, 12))
    for _ in range(2):
        with pytest.raises(DataError, match="is not the committed one"):
            list(found)
