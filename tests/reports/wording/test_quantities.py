"""Numbers, shares and paths as the lines of a report write them."""

from __future__ import annotations

from pol_jax.cli.arguments import parse_list
from pol_jax.reports.wording.quantities import few_paths, percent, ranges, whole_percent


def test_ranges_are_what_lists_are_parsed_from() -> None:
    assert ranges([0, 3, 7, 8, 9]) == "0,3,7-9"
    for numbers in ((4,), (0, 1, 2), (5, 3, 3, 4), tuple(range(0, 100, 3))):
        assert parse_list(ranges(numbers)) == numbers


def test_a_share_that_is_small_is_not_called_nothing() -> None:
    assert [percent(share) for share in (0.0, 1e-7, 0.123, 1.5)] == ["0%", "1e-05%", "12%", "150%"]


def test_paths_are_few_and_safe_to_show() -> None:
    assert few_paths(["", "a\nb"]) == "/, a\\nb"
    assert few_paths(list("abcdef")) == "a, b, c, d and 2 more leaves"


def test_a_share_that_was_chosen_has_every_digit() -> None:
    shares = (0.99, 0.05, 0.5, 0.9999999, 0.1234567, 1e-7)
    assert [whole_percent(share) for share in shares] == ["99%", "5%", "50%", "99.99999%", "12.34567%", "0.00001%"]
