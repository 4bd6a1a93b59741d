"""Opening steps: who can, and who can't."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from opened_steps import SOURCE, STEPS

from pol_jax.errors import DataError, UsageError
from pol_jax.proving.opener import open_steps
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays


@pytest.mark.parametrize(("steps", "problem"), [((), "empty"), ((0,), "steps 1 to 24"), ((25,), "steps 1 to 24")])
def test_steps_that_are_not_there(plain_proof: Path, steps: tuple[int, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        open_steps(open_proof(plain_proof), SOURCE, steps)


def test_other_records_open_nothing(plain_proof: Path) -> None:
    with pytest.raises(DataError):
        open_steps(open_proof(plain_proof), Arrays(tiny.points(seed=2)), STEPS)
