"""What a forger writes is refused for what is false in it alone: a true run that they write is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from forge import refused
from unsandboxed import verify, verify_opening

from pol_jax.attacks.false_proof import FalseProof, claim_elsewhere, open_falsely
from pol_jax.attacks.transcript import Transcript, execute
from pol_jax.protocol.policies import AllSegments, ListedSteps
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

STEPS, INTERVAL, FALSE = 12, 4, 7


def shifted(step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
    return [leaf + leaf.dtype.type(1) if leaf.shape == (3,) and step == FALSE else leaf for leaf in after]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Transcript]]:
    found = {}
    for name, change in (("true", None), ("false", shifted)):
        proof = FalseProof.begin(tmp_path_factory.mktemp(name) / "proof", tiny.plain(steps=STEPS), INTERVAL, name)
        transcript = execute(proof.program, proof.initial, proof.inputs, *([change] if change else []))
        proof.write(transcript)
        found[name] = proof.root, transcript
    return found


def test_a_true_run_is_accepted_with_its_bits(runs: dict[str, tuple[Path, Transcript]]) -> None:
    report = verify(runs["true"][0], tiny.plain().source, policy=AllSegments(), nonce=b"x")
    assert report.verdict is Verdict.ACCEPTED, report.reasons


def test_a_false_step_is_the_only_one_that_is_refused(runs: dict[str, tuple[Path, Transcript]]) -> None:
    report = verify(runs["false"][0], tiny.plain().source, policy=AllSegments(), nonce=b"x")
    refused(report, 9, f"the replay of step {FALSE} differs from the ledger")


@pytest.mark.parametrize(("name", "verdict"), [("true", Verdict.ACCEPTED), ("false", Verdict.REJECTED)])
def test_openings_show_what_is_false(
    runs: dict[str, tuple[Path, Transcript]], tmp_path: Path, name: str, verdict: Verdict
) -> None:
    root, transcript = runs[name]
    write_opening(tmp_path / "opening", open_falsely(root, tiny.plain().source, transcript, [1, FALSE, STEPS]))
    report = verify_opening(root / "claim.json", tmp_path / "opening", ListedSteps((1, FALSE, STEPS)), b"")
    assert report.verdict is verdict, report.reasons


def test_another_processor_is_claimed_in_place(runs: dict[str, tuple[Path, Transcript]]) -> None:
    root, _ = runs["true"]
    before = open_proof(root).claim
    claim_elsewhere(root)
    after = open_proof(root).claim
    assert before is not None
    assert after is not None
    assert (before.environment.cpu != after.environment.cpu, after.environment.cpu) == (True, "an abacus")
    assert before.ledger_root == after.ledger_root
