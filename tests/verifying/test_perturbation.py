"""States that are off by last places: every kind of number moves, and by no more than it says."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.judging.leaf_distances import PERTURBED_PLACES
from pol_jax.judging.leaf_numbers import doubles
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.verifying.perturbation import nudge, take_back

FLOATS = sorted(name for name in DTYPES if name.startswith(("float", "bfloat", "complex")))


def leaf_of(dtype: str, size: int = 200) -> np.ndarray:
    draw = np.random.default_rng(0)
    values = draw.normal(size=size) + (1j * draw.normal(size=size) if dtype.startswith("complex") else 0)
    return values.astype(DTYPES[dtype])


@pytest.mark.parametrize("places", [1, PERTURBED_PLACES])
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_number_is_off_by_last_places(dtype: str, places: int) -> None:
    leaf = leaf_of(dtype)
    spec = (LeafSpec("/w", dtype, leaf.shape, (1,), None),)
    (moved,) = nudge(spec, [leaf], 2, 1, places)
    off, size = np.abs(doubles(moved) - doubles(leaf)), np.abs(doubles(leaf))
    eps = float(ml_dtypes.finfo(DTYPES[dtype]).eps)  # type: ignore[no-untyped-call]
    assert moved.dtype == leaf.dtype
    if places == 1:
        assert (off > 0).mean() > 0.95
        assert (off <= eps * size * 1.01 + float(ml_dtypes.finfo(DTYPES[dtype]).smallest_subnormal)).all()  # type: ignore[no-untyped-call]
    elif eps < 1e-6:
        in_places = off / (eps * size)
        assert in_places.min() < 2
        assert PERTURBED_PLACES / 3 < in_places.max() <= PERTURBED_PLACES * 1.01
    assert (np.sign(doubles(moved)) == np.sign(doubles(leaf))).all()


@given(seed=st.integers(0, 99), sign=st.sampled_from([1, -1]))
def test_what_is_no_number_with_a_last_place_stays(seed: int, sign: int) -> None:
    leaf = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(np.float32).max, 1e-45, 1.0], np.float32)
    counts = np.arange(3, dtype=np.int32)
    spec = (LeafSpec("/w", "float32", (8,), (1,), None), LeafSpec("/n", "int32", (3,), (1,), None))
    moved, same = nudge(spec, [leaf, counts], seed, sign, PERTURBED_PLACES)
    assert same is counts
    assert moved[:5].tobytes() == leaf[:5].tobytes()
    assert np.isfinite(moved[5:]).all()
    assert moved[6] > 0
    assert moved[7] != 1


def test_both_ways_are_tried() -> None:
    leaf = leaf_of("float32")
    spec = (LeafSpec("/w", "float32", leaf.shape, (1,), None),)
    (up,), (down,) = (nudge(spec, [leaf], 2, sign) for sign in (1, -1))
    assert ((up > leaf) == (down < leaf)).all()
    assert 0.3 < (up > leaf).mean() < 0.7


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_a_step_that_only_adds_leaves_nothing_of_a_nudge(dtype: str) -> None:
    leaf = leaf_of(dtype)
    spec = (LeafSpec("/w", dtype, leaf.shape, (1,), None),)
    start = nudge(spec, [leaf], 2, 1)
    (back,) = take_back([start[0] + DTYPES[dtype].type(0.5)], start, [leaf])
    assert np.abs(doubles(back) - doubles(leaf + DTYPES[dtype].type(0.5))).max() < 1e-6
