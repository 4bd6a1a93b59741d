"""Interventions: leaves that were changed from outside the program, from the proof to the verifier's report."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import tiny
from forge import claim_of, edit_document, refused, take_stock
from intervened_runs import AFTER, REASON, verified
from unsandboxed import verify_opening

from pol_jax.errors import ProofError
from pol_jax.protocol.policies import ListedSteps
from pol_jax.proving.opener import open_steps
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.interventions import intervention_name, intervention_steps, load_intervention
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof


@pytest.fixture
def proof(intervened: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intervened, tmp_path / "proof"))


def test_it_is_accepted_and_named_first(intervened: Path) -> None:
    report = verified(intervened)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert f"after step {AFTER}" in report.reasons[0]
    assert all(words in report.reasons[0] for words in ("/params/b, /params/w", REASON))
    (only,) = claim_of(intervened).interventions
    assert report.interventions == (only,)
    assert (only.after, only.leaves) == (AFTER, ("/params/b", "/params/w"))


def test_an_opening_of_the_step_behind_it_has_its_leaves(intervened: Path, tmp_path: Path) -> None:
    opening = open_steps(open_proof(intervened), tiny.plain().source, (3, 6))
    assert [each.after for each in opening.interventions] == [AFTER]
    write_opening(tmp_path / "opening", opening)
    report = verify_opening(intervened / "claim.json", tmp_path / "opening", ListedSteps((3, 6)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert REASON in report.reasons[0]
    wounded = msgspec.structs.replace(opening, interventions=())
    write_opening(tmp_path / "without", wounded)
    report = verify_opening(intervened / "claim.json", tmp_path / "without", ListedSteps((3, 6)))
    refused(report, 6, "the one after step 2 is missing")
    (only,) = opening.interventions
    others = (
        (msgspec.structs.replace(only, after=5), "none after step 5"),
        (msgspec.structs.replace(only, leaves=tuple(bytes(len(leaf)) for leaf in only.leaves)), "not what the claim"),
        (msgspec.structs.replace(only, leaves=only.leaves[:1]), "other sizes"),
    )
    for other, words in others:
        write_opening(tmp_path / "other", msgspec.structs.replace(opening, interventions=(other,)))
        refused(verify_opening(intervened / "claim.json", tmp_path / "other", ListedSteps((3, 6))), 6, words)


def test_leaves_that_the_claim_does_not_name_are_refused(proof: Path) -> None:
    with pytest.raises(ProofError, match="is missing"):
        load_intervention(proof, msgspec.structs.replace(claim_of(proof).interventions[0], after=1), ())
    shutil.copytree(proof / intervention_name(AFTER), proof / intervention_name(5))
    take_stock(proof)
    assert intervention_steps(proof) == [AFTER, 5]
    refused(verified(proof), 6, intervention_name(5), "no intervention that the claim names")


def test_leaves_that_are_missing_are_refused(proof: Path) -> None:
    shutil.rmtree(proof / "interventions")
    take_stock(proof)
    refused(verified(proof), 6, intervention_name(AFTER), "missing")


def test_other_leaves_are_refused(proof: Path) -> None:
    edit_document(proof, "claim.json", lambda plain: plain["interventions"][0].update(digest="00" * 32))
    refused(verified(proof), 6, intervention_name(AFTER), "not those that the claim names")


def test_a_run_that_conceals_it_is_rejected(proof: Path) -> None:
    edit_document(proof, "claim.json", lambda plain: plain.update(interventions=[]))
    shutil.rmtree(proof / "interventions")
    take_stock(proof)
    refused(verified(proof), 9, "step 3")


def test_one_on_leaves_that_are_not_there_is_refused(proof: Path) -> None:
    edit_document(proof, "claim.json", lambda plain: plain["interventions"][0].update(leaves=["/params/c"]))
    refused(verified(proof), 3, "intervention after step 2")
