"""The inputs of steps are the same however many steps' records are read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

import pol_jax
from pol_jax.training import inputs
from pol_jax.training.inputs import step_inputs, steps_at_once


class Counting(pol_jax.Arrays):
    """Counts how often records are read."""

    reads = 0

    def records_at(self, indices: np.ndarray) -> object:
        self.reads += 1
        return super().records_at(indices)


def test_records_of_several_steps_are_read_at_once(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commitment = pol_jax.open_proof(plain_proof).commitment
    together = Counting(tiny.points())
    several = list(step_inputs(commitment, together, 3, 20))
    assert together.reads == 1
    one_by_one = Counting(tiny.points())
    monkeypatch.setattr(inputs, "_READ_BYTES", 0)
    single = list(step_inputs(commitment, one_by_one, 3, 20))
    assert one_by_one.reads == 17
    for one, other in zip(several, single, strict=True):
        assert one.step == other.step
        assert np.array_equal(one.indices, other.indices)
        assert all(np.array_equal(a, b) for a, b in zip(one.batch, other.batch, strict=True))


def test_large_batches_are_read_one_by_one(plain_proof: Path) -> None:
    record = pol_jax.open_proof(plain_proof).commitment.data.record
    assert steps_at_once(record, 2**20) == 1
    assert steps_at_once(record, 4) > 1
