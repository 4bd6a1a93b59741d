"""Steps that rounding decides pass with the prover's decisions, and only those that are honest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import kinked
import numpy as np
import pytest
from decided_steps import Decide, Decided, decided
from jax import lax

from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.protocol.decision_entries import Entries, EntriesBySite, count_entries
from pol_jax.reports.outcomes import Outcome

NO_SIMPLIFICATION = "no algebraic simplification"


def rectified(z: jax.Array) -> jax.Array:
    return jax.nn.relu(z)


def clipped(z: jax.Array) -> jax.Array:
    return jnp.clip(z, -0.1, 0.0)


def in_order(z: jax.Array) -> jax.Array:
    return jnp.sort(z, -1) * jnp.arange(kinked.WIDTH, dtype=jnp.float32)


def floored(z: jax.Array) -> jax.Array:
    return z * lax.stop_gradient(jnp.floor(z * 2))


def in_a_branch(z: jax.Array) -> Any:
    return lax.cond(z[0, 0] > 0.0, lambda: jax.nn.relu(z), lambda: jnp.abs(z))


def scanned(z: jax.Array) -> Any:
    return lax.scan(lambda y, _: (jax.nn.relu(y - 0.1 * z) + 0.3 * z, None), z, None, length=3)[0]


def honest(prover: str = NO_SIMPLIFICATION, steps: int = 1) -> Decided:
    return decided(rectified, prover, steps)


@pytest.mark.parametrize("decide", [rectified, clipped, in_order, floored, in_a_branch, scanned])
def test_an_honest_step_passes_with_decisions(decide: Decide) -> None:
    step = decided(decide, NO_SIMPLIFICATION, 1)
    assert step.plain().outcome is Outcome.INCONCLUSIVE
    found, used = step.decided()
    assert found.outcome is Outcome.PASSED, found.reasons
    assert found.total.error < 1e-5 * found.total.size
    assert 0 < used.used <= used.given
    assert used.farthest is not None
    assert 0 <= used.farthest <= 1
    assert used.choices


def test_a_short_span_passes() -> None:
    step = honest(steps=3)
    assert step.plain().outcome is not Outcome.PASSED
    assert 1 in step.entries
    found, _ = step.decided()
    assert found.total.error < 1e-4 * found.total.size


def turned(entries: dict[int, EntriesBySite], by: float) -> dict[int, EntriesBySite]:
    """The entries with values that have the other sign, or are so much farther from 0."""
    return {
        step: {site: Entries(each.indices, -each.values * np.float32(by)) for site, each in sites.items()}
        for step, sites in entries.items()
    }


def test_turned_entries_are_used_within_the_bound_and_count() -> None:
    """A prover who chooses all near ties moves the state by no more than the report says."""
    step = honest()
    honest_state, turned_state = (
        step.steps.observe(0, step.before, step.inputs[0], entries[1]).state
        for entries in (step.entries, turned(step.entries, 1.0))
    )
    found, used = step.decided(turned(step.entries, 1.0), after=turned_state)
    assert found.outcome is Outcome.PASSED
    moved = np.linalg.norm(turned_state[0] - honest_state[0])
    assert used.choices is not None
    assert 0.1 * used.choices < moved <= used.choices
    assert sum(room.size or 0 for leaf in used.rooms for room in leaf) > moved
    assert used.share >= moved / used.choices


APART = 5473
"""Half a Fibonacci number: times the golden ratio, by which the verifier mixes places, it ends in nearly a half."""


def told_apart(z: jax.Array) -> jax.Array:
    """Each value is compared twice, at places that the verifier puts on two sides; honest ones are on one."""
    flat = z.ravel()
    above = jnp.concatenate([flat, jnp.ones(APART - flat.size), flat]) > 0.0
    differ = (above[: flat.size] != above[APART:]).any()
    return z * jnp.arange(kinked.WIDTH) * jnp.where(differ, 2.0, 1.0)


def test_choices_that_cancel_each_other_count() -> None:
    """A program may be so written that the verifier's wrong choices move nothing, and one alone moves everything."""
    step = decided(told_apart, NO_SIMPLIFICATION, 1)
    own = step.steps.observe(0, step.before, step.inputs[0], {})
    values = own.values(step.steps.sites[0]).ravel()
    nearest = int(np.where(values == 0, np.inf, np.abs(values))[:APART].argmin())
    entries: EntriesBySite = {0: Entries(np.array([nearest, nearest + APART]), np.array([-1e-12, 1e-12], np.float32))}
    steered = step.steps.observe(0, step.before, step.inputs[0], entries)
    found, used = replace(step, metrics=[steered.metrics]).decided({1: entries}, after=steered.state)
    moved = float(np.linalg.norm(steered.state[0] - own.state[0]))
    assert found.outcome is Outcome.PASSED, found.reasons
    assert moved > 0.1 * found.total.size
    assert used.used == 2
    assert used.share * (used.choices or 0) >= moved * (1 - 1e-6)


def test_entries_that_are_far_off_are_not_used() -> None:
    step = honest()
    own = step.entries[1][0]
    found, used = step.decided({1: {0: Entries(own.indices, own.values + np.float32(0.5))}})
    assert used.used == 0
    assert used.unused is not None
    assert "site 0 (stablehlo.maximum), element" in used.unused
    assert "off by 5.0e-01" in used.unused
    assert found.outcome is not Outcome.PASSED


def test_entries_far_from_a_tie_are_not_used() -> None:
    """The right value of every element but those near a tie: taking them would excuse any rounding."""
    step = honest()
    shown = step.steps.observe(0, step.before, step.inputs[0], {}).values(step.steps.sites[0]).ravel()
    indices = np.flatnonzero(np.abs(shown) > 1e-3)
    _, used = step.decided({1: {0: Entries(indices, shown[indices])}})
    assert (used.given, used.used) == (len(indices), 0)
    assert "too far from a tie" in (used.unused or "")


def test_entries_beyond_the_executions_of_a_loop_are_not_used() -> None:
    step = decided(scanned, NO_SIMPLIFICATION, 1)
    (site,) = [at for at, kind in enumerate(step.steps.kinds) if kind.nested and kind.size > 1][:1]
    size = step.steps.kinds[site].size
    _, used = step.decided({1: {site: Entries(np.array([1000 * size]), np.zeros(1, np.float32))}})
    assert used.used == 0
    assert f"element {1000 * size}" in (used.unused or "")


FORGERIES = {
    "rate + 1%": lambda before, after: before + np.float32(1.01) * (after - before),
    "interpolated": lambda before, after: before + np.float32(0.5) * (after - before),
    "nudged": lambda before, after: after + np.float32(1e-3) * np.abs(after - before).max(),
}


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("entries", ["honest", "turned"])
def test_a_forged_step_does_not_pass_with_any_decisions(kind: str, entries: str) -> None:
    step = honest()
    spec = step.verifier.spec
    forged = [
        FORGERIES[kind](a, b).astype(b.dtype) if is_floating(leaf.dtype) else b
        for leaf, a, b in zip(spec, step.before, step.after, strict=True)
    ]
    offered = step.entries if entries == "honest" else turned(step.entries, 1.0)
    assert step.decided(offered, after=forged)[0].outcome is not Outcome.PASSED


def test_without_entries_nothing_changes() -> None:
    step = honest()
    found, used = step.decided({})
    assert (used.given, used.used, used.farthest, used.unused) == (0, 0, 0, None)
    assert found.outcome is not Outcome.PASSED


def test_bounds_are_the_verifiers_alone() -> None:
    """Whatever the prover writes, what may be used of it is calibrated without it."""
    step = honest()
    many = turned(step.entries, 1e30)
    executions = [partial(step.steps.observe, at, step.before, step.inputs[0]) for at in range(4)]
    assert step.decided(many)[1].used <= count_entries(step.entries[1])
    assert step.steps.calibrate(executions).bound(0) < 1e-4


def test_more_turns_than_were_provided_for_are_followed() -> None:
    step = decided(scanned, NO_SIMPLIFICATION, 1)
    shown = step.steps.observe(0, step.before, step.inputs[0], {})
    assert {len(each) for each in shown.shown} == {3}
