"""Interventions: a state that is changed from outside the program, from the prover's loop to the verifier's report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tiny
from forge import claim_of, edit_document, refused, take_stock
from unsandboxed import verify, verify_opening

from pol_jax.errors import DivergenceError, ProofError, UsageError
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.proving.choices import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.recording import Recording
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.interventions import intervention_name, intervention_steps, load_intervention
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

AFTER, STEPS = 2, 8
REASON = "the rate was too high"
CHOICES = Choices(interval=4, seed="interventions")


def halved(state: Any) -> dict[str, np.ndarray]:
    return {"/params/b": np.asarray(state["params"]["b"]) / 2, "/params/w": np.asarray(state["params"]["w"]) / 2}


def train(root: Path, *, stop: int | None = None, change: Any = halved) -> None:
    """Train, with an intervention after step 2; killed at the end of step ``stop``."""
    with Recording(tiny.plain(), root, steps=STEPS, choices=CHOICES) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == AFTER + 1 and change:
                state = recording.intervene(state, change(state), REASON)
            state, _ = recording.step(state, inputs)
            if inputs.step == stop:
                return


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interventions") / "proof"
    train(root)
    return root


@pytest.fixture
def proof(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "proof"))


def verified(root: Path) -> Report:
    return verify(root, tiny.plain().source, policy=AllSegments(), nonce=tiny.NONCE)


def test_it_is_accepted_and_named_first(whole: Path) -> None:
    report = verified(whole)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert f"after step {AFTER}" in report.reasons[0]
    assert all(words in report.reasons[0] for words in ("/params/b, /params/w", REASON))
    (only,) = claim_of(whole).interventions
    assert report.interventions == (only,)
    assert (only.after, only.leaves) == (AFTER, ("/params/b", "/params/w"))


def test_an_opening_of_the_step_behind_it_has_its_leaves(whole: Path, tmp_path: Path) -> None:
    opening = open_steps(open_proof(whole), tiny.plain().source, (3, 6))
    assert [each.after for each in opening.interventions] == [AFTER]
    write_opening(tmp_path / "opening", opening)
    report = verify_opening(whole / "claim.json", tmp_path / "opening", ListedSteps((3, 6)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert REASON in report.reasons[0]
    wounded = msgspec.structs.replace(opening, interventions=())
    write_opening(tmp_path / "without", wounded)
    report = verify_opening(whole / "claim.json", tmp_path / "without", ListedSteps((3, 6)))
    refused(report, 6, "the one after step 2 is missing")
    (only,) = opening.interventions
    others = (
        (msgspec.structs.replace(only, after=5), "none after step 5"),
        (msgspec.structs.replace(only, leaves=tuple(bytes(len(leaf)) for leaf in only.leaves)), "not what the claim"),
        (msgspec.structs.replace(only, leaves=only.leaves[:1]), "other sizes"),
    )
    for other, words in others:
        write_opening(tmp_path / "other", msgspec.structs.replace(opening, interventions=(other,)))
        refused(verify_opening(whole / "claim.json", tmp_path / "other", ListedSteps((3, 6))), 6, words)


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_an_interrupted_run_goes_on_with_it(stop: int, whole: Path, tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=stop)
    train(tmp_path / "proof")
    assert claim_of(tmp_path / "proof") == claim_of(whole)


def test_a_run_that_is_continued_without_the_call_has_it_all_the_same(whole: Path, tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=5)
    train(tmp_path / "proof", change=None)
    assert claim_of(tmp_path / "proof") == claim_of(whole)


def test_another_one_after_an_interruption_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "proof", stop=3)
    with pytest.raises(DivergenceError, match="after step 2"):
        train(tmp_path / "proof", change=lambda state: {"/params/b": np.ones(tiny.CLASSES, np.float32)})


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ({"/params/c": np.zeros(3)}, "no leaf of the state"),
        ({"/params/b": np.zeros(3)}, "got float64"),
        ({"/params/b": np.zeros(4, np.float32)}, r"got float32\[4\]"),
        ({"/key": np.zeros(2, np.uint32)}, "is a PRNG key"),
        ({}, "one or more paths"),
    ],
)
def test_what_is_no_leaf_is_refused(leaves: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        train(tmp_path / "proof", change=lambda state: leaves)


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


def test_a_finished_run_keeps_it(proof: Path) -> None:
    train(proof)
    assert verified(proof).verdict is Verdict.ACCEPTED


def test_a_run_killed_after_its_claim_keeps_it(proof: Path, whole: Path) -> None:
    (proof / "inventory.json").unlink()
    (proof / "interventions" / "0000000002.tmp-of-orbax").mkdir()
    train(proof, change=None)
    assert claim_of(proof) == claim_of(whole)
    assert verified(proof).verdict is Verdict.ACCEPTED
