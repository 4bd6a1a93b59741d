"""Attacks that depend on what stage 8 draws: whom a policy meets, and whom it does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from forge import Forger, claim_of, refused

from pol_jax.errors import UsageError
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import Stretch, draw
from pol_jax.protocol.policies import JointSegments, ListedSegments, Metric, RandomSegments, TopSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.update_sizes import measure_stretches

Verify = Callable[..., Report]


NAN, INF = math.nan, math.inf


def top(q: int, measured: list[Stretch]) -> list[int]:
    return draw(TopSegments(q), measured[-1].segments.stop, bytes(32), b"", measured)


@pytest.fixture
def forger(proof_copy: Path) -> Forger:
    return Forger(proof_copy)


@pytest.mark.parametrize("metric", ["l1", "l2", "linf"])
@pytest.mark.parametrize("value", [100.0, NAN])
def test_a_huge_false_update_is_met(forger: Forger, verify_plain: Verify, metric: Metric, value: float) -> None:
    """The state after step 12 comes from nowhere; what follows was truly trained from it."""
    leaves = [leaf + np.float32(value) if leaf.dtype == np.float32 else leaf for leaf in forger.states[12]]
    forger.train_on(tiny.plain().source, 12, 24, leaves)
    forger.write()
    report = verify_plain(forger.root, policy=TopSegments(1, metric))
    refused(report, 9, "steps 7 to 12: the replay of step 12 differs from the ledger", "state_digest")
    assert report.coverage is not None
    assert 1 in report.coverage.replayed
    assert len(report.coverage.replayed) == 2


def test_a_small_false_update_is_met_by_chance_only(forger: Forger, verify_plain: Verify) -> None:
    """The known blind spot of the rule, and why there is a policy that also draws."""
    measured = measure_stretches(open_proof(forger.root), "l2", Silent())
    wrong = min({1, 2, 3} - set(top(1, measured)))  # the self-test meets what is false in segment 0
    stop = 6 * wrong + 6
    forger.train_on(tiny.plain().source, stop, 24, forger.perturbed(stop))
    forger.write()
    report = verify_plain(forger.root, policy=TopSegments(1))
    assert report
    assert report.coverage is not None
    assert report.coverage.detection == 0
    refused(
        verify_plain(forger.root, policy=JointSegments(1)),
        9,
        f"steps {stop - 5} to {stop}: the replay of step {stop} differs from the ledger",
    )


def test_forged_final_state_is_met_when_its_segment_is_drawn(forger: Forger, verify_plain: Verify) -> None:
    forger.set_state(24, forger.perturbed(24))
    forger.write()
    policy = RandomSegments(confidence=0.6, fraction=0.25)  # 3 of 4
    nonces = [bytes([at]) * 16 for at in range(20)]
    draws = {nonce: draw(policy, 4, claim_of(forger.root).digest(), nonce) for nonce in nonces}
    met = next(nonce for nonce in nonces if 3 in draws[nonce])
    missed = next(nonce for nonce in nonces if 3 not in draws[nonce])
    report = verify_plain(forger.root, policy=policy, nonce=met)
    refused(report, 9, "steps 19 to 24: the replay of step 24 differs from the ledger", "state_digest")
    assert report.coverage is not None
    assert list(report.coverage.replayed) == draws[met]
    report = verify_plain(forger.root, policy=policy, nonce=missed)
    assert report.coverage is not None
    assert (report.verdict, report.coverage.detection) == (Verdict.ACCEPTED, 0.75)


def test_a_policy_that_checks_nothing_is_no_policy(plain_proof: Path, verify_plain: Verify) -> None:
    for policy in (ListedSegments(()), ListedSegments((4,)), ListedSegments((-1,))):
        with pytest.raises(UsageError, match="segment"):
            verify_plain(plain_proof, policy=policy)
