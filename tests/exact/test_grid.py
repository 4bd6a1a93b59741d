"""A grid has so many bits that sums of products are exact, and rounds values to whole numbers of its unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from exact_laws import evaluated
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.exact.grid import bits_for, block_of, grid_of


@given(st.integers(1, 2**22))
def test_sums_of_products_fit(terms: int) -> None:
    p = bits_for(terms)
    block = min(terms, block_of(p))
    assert 20 <= p <= 24
    assert block * 2 ** (2 * p) <= 2**53
    assert terms * 2 ** (2 * p) < 2**63


def test_short_sums_have_all_24_bits_and_long_ones_no_fewer_than_20() -> None:
    assert [bits_for(terms) for terms in (1, 32, 33, 2**13, 2**13 + 1, 2**22)] == [24, 24, 23, 20, 20, 20]
    assert (block_of(24), block_of(20)) == (32, 2**13)


def test_values_that_share_a_grid_are_whole_numbers_of_one_unit() -> None:
    x = np.array([[1.0, 0.3, -0.75], [2.0**-40, 0.0, 2.0**-41], [np.inf, 1.0, 0.0]], np.float32)
    integers, unit, finite = evaluated(_on_a_grid, x)
    # 1 and 2**-40 are half of what four bits and their exponents allow.
    assert integers[:2].tolist() == [[8, 2, -6], [8, 0, 4]]
    assert finite.ravel().tolist() == [True, True, False]
    assert unit.ravel()[:2].tolist() == [2.0**-3, 2.0**-43]
    assert np.isnan(unit[2, 0])


def _on_a_grid(x: Any) -> Any:
    grid = grid_of(x, (1,), 4)
    return grid.integers(x), grid.unit(), grid.finite
