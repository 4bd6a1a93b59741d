"""The words of a report, and the options that ask for the same again."""

from __future__ import annotations

import pytest

from pol_jax.cli.arguments import parse_list
from pol_jax.cli.verify import _policy
from pol_jax.protocol.challenge import AllSegments, JointSegments, ListedSegments, Policy, RandomSegments, TopSegments
from pol_jax.reports.wording import describe_policy, options, ranges


@pytest.mark.parametrize(
    "policy",
    [
        AllSegments(),
        ListedSegments((0, 3, 7, 8, 9)),
        RandomSegments(0.9, 1 / 3),
        TopSegments(2, "cosine"),
        JointSegments(1, "l1", 0.75, 0.1),
    ],
)
def test_options_ask_for_the_same_policy(policy: Policy) -> None:
    words = options(policy).split()
    given = dict(zip(words[::2], words[1::2], strict=False))
    share = {name: float(given[name]) if name in given else None for name in ("--confidence", "--fraction")}
    asked = _policy(
        share["--confidence"],
        share["--fraction"],
        int(given["--top-q"]) if "--top-q" in given else None,
        given.get("--metric"),  # type: ignore[arg-type]
        given.get("--segments"),
        words == ["--all"],
    )
    assert asked == policy
    assert describe_policy(policy)


def test_ranges_are_what_lists_are_parsed_from() -> None:
    assert ranges([0, 3, 7, 8, 9]) == "0,3,7-9"
    for numbers in ((4,), (0, 1, 2), (5, 3, 3, 4), tuple(range(0, 100, 3))):
        assert parse_list(ranges(numbers)) == numbers
