"""The rule of the 2021 paper: what it looks at, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from forge import Forger

from pol_jax.attacks.paper_rule import PUBLISHED, STRICT, PaperRule, judge_by_paper
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays

D_REF = 1.0
ONE_AN_EPOCH = PaperRule(q=1)


def verdict(forger: Forger, rule: PaperRule = PUBLISHED, source: Arrays | None = None) -> str | None:
    forger.write()
    return judge_by_paper(open_proof(forger.root), source or Arrays(tiny.points()), D_REF, rule).refusal


def shifted(forger: Forger, step: int, by: float) -> None:
    leaves = [leaf.copy() for leaf in forger.states[step]]
    places = [at for at, leaf in enumerate(forger.commitment.state) if leaf.path.startswith("/params")]
    for at in places:
        leaves[at] += np.float32(by)
    forger.set_state(step, leaves)


@pytest.mark.parametrize("rule", [PUBLISHED, STRICT, ONE_AN_EPOCH])
def test_an_honest_proof_is_accepted(forger: Forger, rule: PaperRule) -> None:
    assert verdict(forger, rule) is None


def test_a_large_false_update_is_refused(forger: Forger) -> None:
    shifted(forger, 12, 1.0)
    found = verdict(forger)
    assert found is not None
    assert "d_ref away" in found


def test_a_false_update_below_the_slack_passes(forger: Forger) -> None:
    shifted(forger, 12, 1e-3)
    assert verdict(forger) is None
    assert verdict(forger, replace(STRICT, slack=1e-4)) is not None


def test_smaller_updates_than_the_largest_are_not_looked_at(forger: Forger) -> None:
    """A true update of each epoch goes farther than the other one, which is false."""
    short = [a + (b - a) / 2 if a.dtype == np.float32 else b for a, b in pair(forger, 18, 24)]
    forger.set_state(24, short)
    blind, strict = replace(ONE_AN_EPOCH, slack=1e-6), replace(PUBLISHED, slack=1e-6)
    assert verdict(forger, blind) is None
    assert verdict(forger, strict) is not None


def pair(forger: Forger, first: int, second: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(forger.states[first], forger.states[second], strict=True))


def test_other_records_have_no_signature(forger: Forger) -> None:
    points = {name: np.array(leaf) for name, leaf in tiny.points().items()}
    points["x"][:] += 1
    found = verdict(forger, source=Arrays(points))
    assert found == "the records of step 1 do not have their signatures"


def test_a_strange_first_state_fails_the_test_of_its_distribution(forger: Forger) -> None:
    shifted(forger, 0, 3.0)
    found = verdict(forger)
    assert found is not None
    assert "distribution" in found


def test_digests_keys_and_order_are_not_looked_at(forger: Forger) -> None:
    forger.change(9, state=bytes(32), key=forger.rows[8].key, loss=b"\0\0\0\0")
    assert verdict(forger) is None
