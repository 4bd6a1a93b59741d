"""Initial states that come from elsewhere: an earlier proof, a chain of them, or weights that no proof is about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from fine_tuned import SOURCE, TAKEN, WEIGHTS, digest, leaves, tune, undecided_start
from forge import Forger, refused
from slower import slower
from tiny import NONCE
from unsandboxed import verify

from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, UnprovenWeights
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import AllSegments, ListedSegments, RandomSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.html import render
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.provenance import Beginning, Origin
from pol_jax.reports.report import Report
from pol_jax.sandbox import verify as isolation
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays
from pol_jax.training.task import Source
from pol_jax.verifying.ancestry import MOST_ANCESTORS, Ancestry, Lineage, check_ancestry
from pol_jax.verifying.trusted_program import trust

Verify = Callable[..., Report]


def test_fine_tuning_is_accepted_with_the_proof_that_it_starts_from(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "child", "base")
    assert report, report.reasons
    exact = "the initial state and all 2 challenged segments were reproduced bit for bit"
    assert report.reasons == ("program: not compared with any source", exact)
    initial = open_proof(chain / "child").commitment.initial
    assert isinstance(initial, EarlierProof)
    provenance = report.provenance
    assert provenance is not None
    assert (provenance.beginning, provenance.claim) == (Beginning.EARLIER_PROOF, digest(chain / "base"))
    assert (provenance.taken, provenance.values, provenance.leaves) == (TAKEN, 51, 6)
    assert provenance.digest == initial.digest
    (ancestor,) = report.ancestors
    assert (ancestor.claim, ancestor.verdict, ancestor.task) == (digest(chain / "base"), Verdict.ACCEPTED, "tiny plain")
    assert ancestor.coverage is not None
    assert ancestor.coverage.replayed == (0, 1, 2, 3)
    assert "2 of 6 leaves (51 values)" in report.stages[6].detail
    assert "that is accepted" in report.stages[6].detail


def test_a_chain_is_verified_to_its_beginning(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "grandchild", "base", "child", "unproven", nonce=NONCE, policy=RandomSegments())
    assert report, report.reasons
    assert [each.claim for each in report.ancestors] == [digest(chain / "child"), digest(chain / "base")]
    assert {each.verdict for each in report.ancestors} == {Verdict.ACCEPTED}


def test_another_process_verifies_a_chain_with_the_records_of_each(chain: Path) -> None:
    asked = []

    def source(commitment: Commitment) -> Source:
        asked.append(commitment.nonce)
        return SOURCE

    reported = isolation.verify(chain / "child", source, policy=AllSegments(), nonce=NONCE, parents=[chain / "base"])
    assert reported, reported.reasons
    assert asked == ["tests", "child"]
    assert [each.verdict for each in reported.ancestors] == [Verdict.ACCEPTED]


def test_a_proof_that_is_not_given_leaves_a_doubt(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "child", "unproven")
    undecided_start(report, digest(chain / "base"), "whose proof is missing")
    assert report.reasons[0] == (
        f"training starts from the run with the claim {digest(chain / 'base')}, which was not verified here"
    )
    assert report.stages[8].outcome is Outcome.PASSED
    assert report.ancestors == ()
    undecided_start(verify_chain(chain / "grandchild", "child"), digest(chain / "child"), digest(chain / "base"))


def test_false_steps_are_rejected_though_the_start_is_in_doubt(child: Forger, verify_chain: Verify) -> None:
    child.change(3, state=bytes(32))
    child.write()
    refused(verify_chain(child.root), 9, "step 3 differs from the ledger")


def test_a_rejected_proof_is_no_start(chain: Path, tmp_path: Path, verify_chain: Verify) -> None:
    """False steps in the earlier run, and an honest run from where they led."""
    forger = Forger(Path(shutil.copytree(chain / "base", tmp_path / "base")))
    forger.train_on(SOURCE, 18, 24, forger.perturbed(18))
    forger.write()
    tune(tmp_path / "child", open_proof(forger.root))
    report = verify_chain(tmp_path / "child", forger.root)
    assert report.verdict is Verdict.REJECTED
    assert [stage.outcome for stage in report.stages[6:]] == [Outcome.FAILED, *[Outcome.NOT_REACHED] * 2]
    assert (
        "is rejected: stage 9, replay: steps 13 to 18: the replay of step 18 differs from the ledger"
        in report.reasons[0]
    )
    assert [each.verdict for each in report.ancestors] == [Verdict.REJECTED]


def test_a_start_that_cannot_be_judged_here_leaves_a_doubt(chain: Path, verify_chain: Verify) -> None:
    other = Arrays(tiny.points(seed=2))
    report = verify_chain(chain / "child", "base", source=lambda c: SOURCE if c.nonce == "child" else other)
    undecided_start(report, "is inconclusive", "record")
    assert [each.verdict for each in report.ancestors] == [Verdict.INCONCLUSIVE]


def test_a_list_of_segments_is_about_the_proof_and_not_about_its_parents(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "grown", "unproven", policy=ListedSegments((1,)))
    assert report, report.reasons
    assert report.coverage is not None
    assert report.coverage.replayed == (1,)
    assert report.ancestors[0].policy == RandomSegments()


def follow(chain: Path, followed: tuple[str, ...]) -> Ancestry:
    proof = open_proof(chain / "child")
    assert proof.claim is not None
    known = {digest(chain / "base"): chain / "base"}
    return check_ancestry(
        proof.commitment, proof.claim, Lineage(known, followed), lambda *_: pytest.fail("followed"), Limits()
    )


def test_a_chain_that_meets_a_claim_again_is_refused(chain: Path) -> None:
    assert "returns to the claim" in (follow(chain, (digest(chain / "base"),)).refusal or "")


def test_a_chain_is_followed_to_a_bound(chain: Path) -> None:
    found = follow(chain, ("00" * 32,) * MOST_ANCESTORS)
    assert found.refusal is None
    assert f"more than {MOST_ANCESTORS} earlier proofs" in (found.doubt or "")


def test_weights_of_unproven_origin_are_named_first(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "unproven")
    assert report, report.reasons
    np.testing.assert_array_equal(leaves(chain / "unproven", 0)["/params/w"], WEIGHTS["params"]["w"])
    initial = open_proof(chain / "unproven").commitment.initial
    assert isinstance(initial, UnprovenWeights)
    expected = f"training starts from weights of unproven origin: /params/w; 48 values with the digest {initial.digest}"
    assert report.reasons[0] == expected
    assert report.provenance is not None
    assert report.provenance.beginning is Beginning.UNPROVEN_WEIGHTS
    assert json.loads(report.to_json())["reasons"][0] == expected
    page = render(report)
    assert page.index(expected) < page.index("Stages")
    assert "/params/w" in page


def test_a_chain_from_weights_of_unproven_origin_says_so(chain: Path, verify_chain: Verify) -> None:
    report = verify_chain(chain / "grown", "unproven")
    assert report, report.reasons
    claim = digest(chain / "unproven")
    assert report.reasons[0].startswith(f"the run of claim {claim[:16]}… starts from weights of unproven origin: ")
    assert [each.verdict for each in report.ancestors] == [Verdict.ACCEPTED]
    assert f"{claim[:16]}…: accepted" in render(report)


def test_the_program_and_the_end_of_an_earlier_run_are_told_too(tmp_path: Path) -> None:
    """A trusted program may go on from weights that another one was written to end in, or of the best of many ends."""
    base, path = tmp_path / "base", tmp_path / "child"
    train(slower(), base, steps=4, choices=Choices(interval=2, seed="base", may_stop_early=True))
    tune(path, open_proof(base))
    asked: dict[str, Any] = {"policy": AllSegments(), "parents": [base]}
    report = verify(path, SOURCE, trusted=trust(tiny.plain()), any_program=True, **asked)
    assert report, report.reasons
    assert (report.program_origin, report.ancestors[0].program_origin) == (Origin.TRUSTED, Origin.DIFFERS)
    run = f"the run of claim {digest(base)[:12]}"
    first, second, exact = report.reasons
    assert first.startswith(f"program of {run}"), first
    assert first.endswith("differs from the trusted source")
    assert second.startswith(f"the prover chose where {run}"), second
    assert "bit for bit" in exact
    undecided = verify(path, SOURCE, trusted=trust(tiny.plain()), **asked)
    undecided_start(undecided, digest(base), "programs differ from those of the trusted source")


def test_a_parent_that_is_no_proof_is_an_error(chain: Path, tmp_path: Path, verify_chain: Verify) -> None:
    with pytest.raises(UsageError, match="no finished proof here"):
        verify_chain(chain / "child", tmp_path)
    broken = Path(shutil.copytree(chain / "base", tmp_path / "base"))
    (broken / "claim.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match="no finished proof here"):
        verify_chain(chain / "child", broken)
