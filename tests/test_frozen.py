"""Proofs and openings that earlier code made, in ``tests/frozen``: today's code must go on verifying them."""

from __future__ import annotations

from pathlib import Path

import freeze
import pytest
import tiny
from forge import claim_of
from frozen_proofs import (
    CATALOGUE,
    FOLDERS,
    opened,
    opening_cases,
    proof_cases,
    secret_of,
    todays_proof_cases,
    verified,
    verified_opening,
)
from msgspec.structs import replace

from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import RandomSegments
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.notices import notices
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays
from pol_jax.verifying.facts import Share
from pol_jax.verifying.request import ProofRequest
from pol_jax.verifying.shard import find_facts


def holds(report: Report, *, reached: set[int]) -> None:
    """The report accepts by bits where the proof was made, and refuses nothing anywhere else."""
    outcomes = {stage.number: stage.outcome for stage in report.stages}
    assert {number for number in reached if outcomes[number] is not Outcome.PASSED} == set(), report.reasons
    assert report.verdict is not Verdict.REJECTED, report.reasons
    assert outcomes[9] in {Outcome.PASSED, Outcome.INCONCLUSIVE}
    if report.claimed_environment == current_environment():
        assert report.verdict is Verdict.ACCEPTED, report.reasons
        assert not report.compared


def test_the_catalogue_is_what_lies_there() -> None:
    for version in ("pol-jax-1", "pol-jax-2"):
        names = {folder.name for folder in FOLDERS if folder.parent.name == version}
        assert names >= {"jax-0.10.2", "jax-0.12.0.1"}
    made = {f"{frozen.name}.opening" for frozen in CATALOGUE.values() if frozen.opened}
    for folder in FOLDERS:
        assert {path.name for path in folder.iterdir()} == CATALOGUE.keys() | made
        environment = claim_of(folder / "plain").environment
        assert folder.name == f"jax-{environment.jax}"


@proof_cases
def test_a_frozen_proof_is_verified_for_ever(proof: Path) -> None:
    report = verified(proof)
    holds(report, reached=set(range(1, 9)))
    earlier = {"tuned": ["plain"], "tuned-again": ["tuned", "plain"]}.get(proof.name, [])
    claims = [claim_of(proof.parent / name).digest().hex() for name in earlier]
    assert [ancestor.claim for ancestor in report.ancestors] == claims
    # A commitment of version 1 has no number of steps: its prover chose where it ends, and the report says so.
    chosen = proof.parents[1].name == "pol-jax-1"
    assert report.may_stop_early is chosen
    told = any("the prover chose where the run ends" in line for line in notices(report))
    assert told is (chosen and report.verdict is Verdict.ACCEPTED)


@proof_cases
def test_a_shard_draws_and_salts_as_the_version_does(proof: Path) -> None:
    """What a shard executes is what the verification of its version draws, with records as this version salts them."""
    policy, claim = RandomSegments(confidence=0.5, fraction=0.5), claim_of(proof)
    request = ProofRequest(
        path=str(proof), policy=policy, nonce=tiny.NONCE, secret=secret_of(CATALOGUE[proof.name]), any_program=True
    )
    found = find_facts(request, Share(1, 1), Arrays(freeze.records()), progress=Silent())
    segments = open_proof(proof).segments
    drawn = draw(policy, len(segments), claim.digest(), tiny.NONCE, version=claim.format)
    ends = {result.span.stop for result in found.replays[1:]}
    assert {segments.span(segment).stop for segment in drawn} <= ends | {found.replays[0].span.stop}
    assert found.claim == claim.digest().hex()


@opening_cases
def test_a_frozen_opening_is_verified_for_ever(opening: Path) -> None:
    """All that it shows holds.

    Those of version 1 were made without the last row, which leaves open where the run ends. A run that ends in another
    model than its claim says could be opened in the same way. So the verdict is inconclusive for this reason alone; by
    bits, it was accepted before.
    """
    report, frozen = verified_opening(opening.with_suffix(""), opening), CATALOGUE[opening.stem]
    if opening.parents[1].name != "pol-jax-1":
        holds(report, reached=set(range(1, 9)))
        return
    outcomes = {stage.number: stage.outcome for stage in report.stages}
    assert {outcomes[number] for number in range(1, 7)} == {Outcome.PASSED}, report.reasons
    assert outcomes[8] is Outcome.INCONCLUSIVE
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    why = next(reason for reason in report.reasons if reason.startswith(f"{Stage.CHALLENGE}: "))
    assert f"row {frozen.steps} " in why
    begins = 1 in frozen.opened
    assert ("initial state" in why) is not begins
    if report.claimed_environment == current_environment():
        assert outcomes[7] is (Outcome.PASSED if begins else Outcome.NOT_REACHED)
        assert outcomes[9] is Outcome.PASSED
        assert not report.compared


@todays_proof_cases
def test_the_same_run_makes_the_same_claim_and_opening_today(proof: Path, tmp_path: Path) -> None:
    frozen, claim = CATALOGUE[proof.name], claim_of(proof)
    if claim.environment != current_environment():
        pytest.skip("made on another backend, whose bits differ")
    if frozen.parent:
        (tmp_path / frozen.parent).symlink_to(proof.parent / frozen.parent)
    assert freeze.freeze(frozen, tmp_path).claim == claim
    for path in tmp_path.glob("*.opening"):
        _has_all_of(opened(path), opened(proof.parent / path.name))


def _has_all_of(today: Opening, frozen: Opening) -> None:
    """An opening of today has what the frozen one has, byte for byte, and the two ends of the run beside it."""
    parts = ("rows", "states")
    assert replace(today, **{part: () for part in parts}) == replace(frozen, **{part: () for part in parts})
    for part in parts:
        kept = [each for each in getattr(today, part) if each in getattr(frozen, part)]
        assert kept == list(getattr(frozen, part))
        assert len(getattr(today, part)) - len(kept) <= 2
