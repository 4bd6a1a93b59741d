"""Checkpoints are plain Orbax."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import tiny
from orbax.checkpoint import v1 as ocp

import pol_jax


def test_checkpoints_are_plain_orbax(plain_proof: Path) -> None:
    """No class of ours, no target: what a user without this package sees."""
    found = ocp.load(plain_proof.absolute() / f"checkpoints/{tiny.STEPS:010d}")
    state = pol_jax.open_proof(plain_proof).final_state()
    assert set(found) == {"params", "momentum", "count", "key"}  # Orbax stores no empty arrays
    np.testing.assert_array_equal(found["params"]["w"], state["params"]["w"])
    np.testing.assert_array_equal(found["key"], jax.random.key_data(state["key"]))
