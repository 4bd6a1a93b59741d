"""What forgers compute: lines, pushes, ranks. Hypothesis draws the parameters."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.attacks.interpolation import rank_matched
from pol_jax.attacks.steering import pushed
from pol_jax.attacks.transcript import line, moved, parameters_of, state_distance
from pol_jax.protocol.trees import LeafSpec

SPEC = (
    LeafSpec("/params/w", "float32", (4, 3), (1, 1), None),
    LeafSpec("/opt/count", "int32", (), (), None),
    LeafSpec("/rng", "uint32", (2,), (1,), "threefry2x32"),
    LeafSpec("/opt/low", "bfloat16", (3,), (1,), None),
)
seeds = st.integers(0, 2**32 - 1)


def state(seed: int, count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [
        draw.normal(size=(4, 3)).astype(np.float32),
        np.array(count, np.int32),
        draw.integers(0, 2**32, 2, np.uint32),
        draw.normal(size=3).astype(jnp.bfloat16),
    ]


def test_parameters_are_those_below_params_or_all_that_float() -> None:
    assert parameters_of(SPEC) == (0,)
    assert parameters_of(SPEC[1:]) == (2,)


@given(seeds, seeds, st.integers(2, 9))
def test_a_line_is_straight_and_has_both_ends(a: int, b: int, steps: int) -> None:
    first, last = state(a, 0), state(b, steps)
    states = line(SPEC, first, last, steps)
    assert states[0] is first
    assert states[-1] is last
    lengths = [state_distance(SPEC, x, y, (0,)) for x, y in itertools.pairwise(states)]
    assert np.allclose(lengths, state_distance(SPEC, first, last, (0,)) / steps, rtol=1e-3, atol=1e-6)
    assert [int(each[1]) for each in states] == list(range(steps + 1))
    assert all(leaf.dtype == old.dtype for each in states for leaf, old in zip(each, first, strict=True))


@given(seeds, seeds, st.floats(0, 10))
def test_a_pull_has_its_length_and_goes_not_beyond(a: int, b: int, length: float) -> None:
    first, target = state(a, 0), state(b, 0)
    away = state_distance(SPEC, first, target, (0,))
    found = moved(first, target, (0,), length)
    assert np.isclose(state_distance(SPEC, first, found, (0,)), min(length, away), rtol=1e-3, atol=1e-6)
    assert found[3] is first[3]


@given(seeds, seeds)
def test_a_rank_matched_start_has_the_values_of_the_draw_and_lies_nearer(a: int, b: int) -> None:
    drawn, target = state(a, 0), state(b, 0)
    found = rank_matched(drawn, target, (0,))
    assert np.array_equal(np.sort(found[0], axis=None), np.sort(drawn[0], axis=None))
    assert np.array_equal(np.argsort(found[0], axis=None), np.argsort(target[0], axis=None))
    assert state_distance(SPEC, found, target, (0,)) <= state_distance(SPEC, drawn, target, (0,)) + 1e-6


@given(seeds, seeds, st.integers(-4, 12))
def test_a_push_is_towards_the_target_by_so_many_units(a: int, b: int, power: int) -> None:
    first, target = state(a, 0), state(b, 0)
    found = pushed(first, target, (0,), 2.0**power, np.random.default_rng(a))
    change = found[0].astype(np.float64) - first[0]
    assert np.all(change * (target[0].astype(np.float64) - first[0]) >= 0)
    assert np.all(np.abs(change) <= 1.01 * max(1, 2.0**power) * np.spacing(np.abs(first[0])) + 1e-30)
