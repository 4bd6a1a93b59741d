"""A policy is put in words, and into the options that ask for the same again."""

from __future__ import annotations

import pytest

from pol_jax.cli.verify import ProofOptions
from pol_jax.protocol.policies import AllSegments, JointSegments, ListedSegments, Policy, RandomSegments, TopSegments
from pol_jax.reports.wording.policies import describe_policy, options


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
    chance = {name: float(given[f"--{name}"]) for name in ("confidence", "fraction") if f"--{name}" in given}
    asked = ProofOptions(
        top_q=int(given["--top-q"]) if "--top-q" in given else None,
        metric=given.get("--metric"),  # type: ignore[arg-type]
        segments=given.get("--segments"),
        everything=words == ["--all"],
    )
    assert asked.policy(chance) == policy
    assert describe_policy(policy)
