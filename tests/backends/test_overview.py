"""The overview says in a few lines what a comparison of backends found."""

from __future__ import annotations

from pol_jax.backends.overview import step_ranges


def test_numbers_of_steps_are_written_as_ranges() -> None:
    assert step_ranges([3, 1, 2, 7, 9, 10, 9]) == "1-3,7,9-10"
    assert step_ranges([]) == ""
