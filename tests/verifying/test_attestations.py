"""What lies in a proof's attestations, held against the proof: the thief's and the carrier's attempts are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tiny
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from places import TESTS
from timestamp_authority import Authority
from unsandboxed import verify

from pol_jax.attesting.attestation import attest_claim, attest_commitment
from pol_jax.attesting.digests import Digests, digest_arrays
from pol_jax.attesting.folder import BEACON, CLAIM, CLAIM_TOKEN, COMMITMENT, COMMITMENT_TOKEN, attestation_path
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.timestamp import make_request, read_pem
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import ListedSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.signing import sign_claim
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.identity import describe_authorship
from pol_jax.sandbox.verify import verify as verify_apart
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.request import ProofRequest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THIEF = Ed25519PrivateKey.from_private_bytes(bytes(32))
OWNER = public_text(KEY)
VECTORS = TESTS / "attesting" / "vectors"


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The proof of the owner of `KEY`, whose commitment names a drand round of 2023."""
    root = tmp_path_factory.mktemp("owned") / "proof"
    beacon = json.loads((VECTORS / "beacons.json").read_text())[2]["text"]
    train(tiny.plain(), root, steps=6, choices=Choices(beacon=beacon), key=KEY)
    drawn = json.loads((VECTORS / "drand_published.json").read_text())[2]["round"]
    attestation_path(root, BEACON).write_text(json.dumps(drawn))
    return root


@pytest.fixture
def copy(owned: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(owned, tmp_path / "copy"))


def check(root: Path, **asked: Any) -> Report:
    return verify(root, tiny.plain().source, policy=ListedSegments((0,)), **asked)


def reasons(report: Report) -> str:
    return " ".join(report.reasons)


def test_a_report_says_which_model_whose_when_and_on_which_data(owned: Path) -> None:
    report = check(owned, signer=OWNER)
    assert report.verdict is Verdict.ACCEPTED
    assert report.authorship is not None
    assert (report.authorship.is_shown, report.authorship.commitment_signed) == (True, True)
    proof = open_proof(owned)
    assert proof.claim is not None
    digests = digest_arrays(select_parameters(read_final_state(proof)))
    assert report.model is not None
    assert (report.model.blake3, report.model.sha256) == (digests.blake3, digests.sha256)
    assert report.model.final_state == proof.claim.final_state
    assert report.period is not None
    assert f"{report.period.window.not_before:%Y-%m-%d %H:%M:%S}" == "2023-08-23 15:59:24"
    assert report.period.window.least_work is not None
    assert report.data is not None
    assert (report.data.root, report.data.compared) == (proof.commitment.data.root, "the verifier's own source")
    assert msgspec.json.decode(report.to_json(), type=Report) == report


def test_without_a_signer_the_proof_is_accepted_and_the_open_end_is_said(owned: Path) -> None:
    report = check(owned)
    assert report.verdict is Verdict.ACCEPTED
    assert report.authorship is not None
    assert "no signer was asked for" in describe_authorship(report.authorship)


@pytest.mark.usefixtures("in_process")
def test_signer_and_model_are_arguments_of_verify(owned: Path, tmp_path: Path) -> None:
    (tmp_path / "signer").write_text(OWNER)
    asked: dict[str, Any] = {"policy": ListedSegments((0,)), "signer": str(tmp_path / "signer")}
    report = verify_apart(owned, tiny.plain().source, model=owned / checkpoint_name(6), **asked)
    assert report
    assert report.authorship is not None
    assert report.authorship.pinned == OWNER
    assert report.deployed is not None
    assert report.deployed.difference == "equal"


def test_another_signer_is_rejected(owned: Path) -> None:
    report = check(owned, signer=public_text(THIEF))
    assert report.verdict is Verdict.REJECTED
    assert f"expected the signer {public_text(THIEF)}" in reasons(report)


def test_an_envelope_that_was_removed_accepts_nothing_where_a_signer_was_asked_for(copy: Path) -> None:
    attestation_path(copy, CLAIM).unlink()
    report = check(copy, signer=OWNER)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "the claim is not signed" in reasons(report)
    assert check(copy).verdict is Verdict.ACCEPTED


def state_of(root: Path) -> tuple[Digests, Digests]:
    state = read_final_state(open_proof(root))
    return digest_arrays(select_parameters(state)), digest_arrays(state)


def signed_by_a_thief(root: Path) -> bytes:
    parameters, state = state_of(root)
    return attest_claim((root / "claim.json").read_bytes(), name_final(parameters=parameters, state=state), THIEF)


def over_another_claim(root: Path) -> bytes:
    parameters, state = state_of(root)
    claim = (root / "claim.json").read_bytes().replace(b'"steps":6', b'"steps":7')
    return attest_claim(claim, name_final(parameters=parameters, state=state), KEY)


def over_other_parameters(root: Path) -> bytes:
    other = digest_arrays({"/params/w": np.zeros(1)})
    subjects = name_final(parameters=other, state=state_of(root)[1])
    return attest_claim((root / "claim.json").read_bytes(), subjects, KEY)


def over_another_state(root: Path) -> bytes:
    other = digest_arrays({"/params/w": np.zeros(1)})
    subjects = name_final(parameters=state_of(root)[0], state=other)
    return attest_claim((root / "claim.json").read_bytes(), subjects, KEY)


WOUNDS: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "signed again by a thief": (CLAIM, signed_by_a_thief, "the prover whom the commitment names"),
    "the envelope of another claim": (CLAIM, over_another_claim, "signs another claim"),
    "other parameters were signed": (CLAIM, over_other_parameters, "signs another final parameters"),
    "another state was signed": (CLAIM, over_another_state, "signs another final state"),
    "the commitment's envelope as the claim's": (
        CLAIM,
        lambda root: attest_commitment((root / "commitment.json").read_bytes(), KEY),
        "predicateType",
    ),
    "the commitment signed by a thief": (
        COMMITMENT,
        lambda root: attest_commitment((root / "commitment.json").read_bytes(), THIEF),
        "the prover whom the commitment names",
    ),
    "another commitment was signed": (
        COMMITMENT,
        lambda _: attest_commitment(b'{"format":"pol-jax/2"}', KEY),
        "signs another commitment",
    ),
    "no envelope at all": (CLAIM, lambda _: b"hello", "not JSON"),
    "another round": (
        BEACON,
        lambda _: json.dumps(json.loads((VECTORS / "drand_published.json").read_text())[1]["round"]).encode(),
        "beacon",
    ),
}


@pytest.mark.parametrize("name", WOUNDS)
def test_what_is_there_and_false_is_rejected(name: str, copy: Path) -> None:
    file, make, problem = WOUNDS[name]
    attestation_path(copy, file).write_bytes(make(copy))
    report = check(copy)
    assert report.verdict is Verdict.REJECTED
    assert problem in reasons(report), reasons(report)


def test_a_round_of_the_future_is_rejected(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Early:
        @staticmethod
        def now(zone: Any) -> Any:
            from datetime import datetime

            return datetime(2023, 8, 23, 15, 0, tzinfo=zone)

    monkeypatch.setattr("pol_jax.verifying.attestations.datetime", Early)
    report = check(copy)
    assert report.verdict is Verdict.REJECTED
    assert "in the future of this clock" in reasons(report)


def stamped(root: Path, authority: Authority) -> None:
    for document, token in ((root / "commitment.json", COMMITMENT_TOKEN), (attestation_path(root, CLAIM), CLAIM_TOKEN)):
        attestation_path(root, token).write_bytes(authority.answer(make_request(document.read_bytes())))


def test_timestamps_are_checked_under_the_verifier_s_roots_alone(copy: Path, authority: Authority) -> None:
    stamped(copy, authority)
    left_open = check(copy)
    assert left_open.verdict is Verdict.ACCEPTED
    assert left_open.period is not None
    assert len(left_open.period.unchecked) == 2
    report = check(copy, tsa_roots=read_pem(authority.root))
    assert report.period is not None
    assert report.period.authorities == ("CN=Test Authority,O=Tests",)
    assert report.period.window.not_after is not None
    swapped = attestation_path(copy, CLAIM_TOKEN)
    swapped.write_bytes(attestation_path(copy, COMMITMENT_TOKEN).read_bytes())
    refused = check(copy, tsa_roots=read_pem(authority.root))
    assert refused.verdict is Verdict.REJECTED
    assert "over another digest" in reasons(refused)
    attestation_path(copy, CLAIM).unlink()
    assert "which is missing" in reasons(check(copy, tsa_roots=read_pem(authority.root)))


def test_an_authority_that_the_verifier_does_not_know_shows_nothing_and_refutes_nothing(
    copy: Path, authority: Authority, tmp_path: Path
) -> None:
    stamped(copy, authority)
    other = Authority(tmp_path / "other", name="Another")
    report = check(copy, tsa_roots=read_pem(other.root))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "under the given roots (CN=Root of Another)" in reasons(report)
    assert report.period is not None
    assert (report.period.window.not_after, len(report.period.unchecked)) == (None, 2)


def test_a_window_shorter_than_the_recorded_work_is_rejected(copy: Path, authority: Authority) -> None:
    proof = open_proof(copy)
    attestation_path(copy, CLAIM).write_bytes(sign_claim(proof, KEY, pace=timedelta(days=1).total_seconds()))
    stamped(copy, authority)
    report = check(copy, tsa_roots=read_pem(authority.root))
    assert report.verdict is Verdict.REJECTED
    assert "is shorter than the work: 6 steps take at least 6 days" in reasons(report)


def test_roots_are_the_verifier_s_and_must_be_certificates(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("hello")
    with pytest.raises(UsageError, match="no certificate in it"):
        read_pem(tmp_path / "roots.pem")
    assert ProofRequest(path="proof").tsa_roots is None
