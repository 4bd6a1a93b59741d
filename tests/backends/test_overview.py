"""The overview in a few lines."""

from __future__ import annotations

from pol_jax.backends.overview import ranges


def test_ranges() -> None:
    assert ranges([3, 1, 2, 7, 9, 10, 9]) == "1-3,7,9-10"
    assert ranges([]) == ""
