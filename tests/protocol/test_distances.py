"""The sizes of updates, in each metric."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from stored_vectors import vectors
from strategies import law

from pol_jax.protocol.distances import distance
from pol_jax.protocol.policies import METRICS, Metric
from pol_jax.protocol.trees import LeafSpec, StateSpec

NAN, INF = math.nan, math.inf


def spec_of(**dtypes: str) -> StateSpec:
    return tuple(LeafSpec(f"/{name}", dtype, (2,), (1,), None) for name, dtype in dtypes.items())


def test_distances_of_a_small_update() -> None:
    spec = spec_of(a="float32", b="bfloat16")
    before = [np.array([1, 2], np.float32), np.array([0, 2], jnp.bfloat16)]
    after = [np.array([4, 2], np.float32), np.array([0, -2], jnp.bfloat16)]
    sizes = {metric: distance(spec, before, after, metric) for metric in METRICS}
    assert sizes == {"l1": 7.0, "l2": 5.0, "linf": 4.0, "cosine": 1 - 4 / (math.sqrt(9) * math.sqrt(24))}


@pytest.mark.parametrize("metric", METRICS)
def test_other_leaves_are_left_out(metric: Metric) -> None:
    spec = spec_of(n="int32", k="uint32", b="bool", c="complex64")
    spec = tuple(msgspec.structs.replace(leaf, prng="threefry2x32") if leaf.path == "/k" else leaf for leaf in spec)
    before = [np.zeros(2, leaf.dtype) for leaf in spec]
    assert distance(spec, before, [array + np.ones(2, array.dtype) for array in before], metric) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("both", [True, False])
def test_what_is_not_finite_has_no_finite_distance(metric: Metric, value: float, both: bool) -> None:
    before, after = np.array([value if both else 1, 1], np.float32), np.array([value, 1], np.float32)
    assert not math.isfinite(distance(spec_of(a="float32"), [before], [after], metric))


@pytest.mark.parametrize(("before", "after", "expected"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 2, 0), (1, -1, 2)])
def test_cosine_distance(before: float, after: float, expected: float) -> None:
    first, second = ([np.full(2, value, np.float32)] for value in (before, after))
    assert distance(spec_of(a="float32"), first, second, "cosine") == pytest.approx(expected)


@pytest.mark.parametrize("vector", vectors("magnitudes"), ids=lambda vector: vector["name"])
def test_magnitudes_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    kinds = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}
    before, after = (
        [
            np.frombuffer(bytes.fromhex(leaf), kinds[dtype]).astype(np.float64).tolist()
            for leaf, dtype in zip(state, vector["dtypes"], strict=True)
            if dtype in kinds
        ]
        for state in vector["states"]
    )
    for metric in METRICS:
        assert repr(second.magnitude(metric, before, after)) == repr(float(vector[metric]))


@law(20)
@given(st.sampled_from(METRICS), st.integers(0, 2**32), st.lists(st.integers(0, 2**16 + 99), min_size=1, max_size=3))
def test_magnitudes_are_those_of_the_second_implementation(metric: Metric, seed: int, sizes: list[int]) -> None:
    """To the bit, also where lanes hold more than one element."""
    source = np.random.default_rng(seed)
    spec = tuple(LeafSpec(f"/{at}", "float32", (size,), (1,), None) for at, size in enumerate(sizes))
    before, after = ([source.normal(size=size).astype(np.float32) for size in sizes] for _ in range(2))
    plain = [[leaf.astype(np.float64).tolist() for leaf in state] for state in (before, after)]
    assert distance(spec, before, after, metric) == second.magnitude(metric, *plain)
