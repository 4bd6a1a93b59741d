"""A plan asks every worker for the same, but for its seed, its records and its key."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

from pol_jax.integrations.flower.plan import Plan
from pol_jax.workers.assignment import Assignment, Data

DATA = Data("0" * 64, 10)


def test_a_plan_says_what_a_worker_is_asked_for() -> None:
    plan = Plan(8, 4, 2, take=("/params", "/norm"), arithmetic="exact")
    assert plan.assignment("a seed", DATA) == Assignment("a seed", 8, 4, 2, DATA, ("/params", "/norm"), None, "exact")
    key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert Plan(8, 4, 2).assignment("another", DATA, key) == Assignment("another", 8, 4, 2, DATA, prover=key)
