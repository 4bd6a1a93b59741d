"""A run with a key is signed before step 0 and after the last step, interrupted or not."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import tiny
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting.attestation import read_attestation
from pol_jax.attesting.folder import CLAIM, COMMITMENT, attestation_path
from pol_jax.attesting.public_key import public_text
from pol_jax.errors import ProofError, UsageError, UserCodeError
from pol_jax.proving.choices import Choices
from pol_jax.proving.recording import Recording
from pol_jax.proving.signing import Pace, choices_of
from pol_jax.proving.train import train
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.request import ProofRequest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
STEPS = 12


def stop_at(step: int, wanted: int) -> None:
    if step == wanted:
        raise ValueError("stop here")


def signed_claim(root: Path) -> bytes:
    return read_attestation(
        attestation_path(root, CLAIM).read_bytes(), "claim", where="a", pinned=public_text(KEY)
    ).document


def test_the_commitment_is_signed_before_step_0_and_the_claim_in_the_end(tmp_path: Path) -> None:
    root = tmp_path / "proof"
    with Recording(tiny.plain(), root, steps=STEPS, key=KEY) as recording:
        found = read_attestation(
            attestation_path(root, COMMITMENT).read_bytes(), "commitment", where="a", pinned=public_text(KEY)
        )
        assert found.document == (root / "commitment.json").read_bytes()
        assert not attestation_path(root, CLAIM).exists()
        recording.run()
    assert recording.commitment.prover == public_text(KEY)
    claim = read_attestation(attestation_path(root, CLAIM).read_bytes(), "claim", where="a")
    assert claim.document == (root / "claim.json").read_bytes()
    assert claim.seconds_per_step is not None
    assert b"attestations" not in (root / "inventory.json").read_bytes()


def test_an_interrupted_run_is_signed_when_it_ends(tmp_path: Path) -> None:
    root = tmp_path / "proof"
    with pytest.raises(UserCodeError, match="stop here"):
        train(tiny.plain(), root, steps=STEPS, key=KEY, on_step=lambda step, _: stop_at(step, 8))
    attestation_path(root, COMMITMENT).unlink()
    with pytest.raises(UsageError, match="this run is committed to"):
        train(tiny.plain(), root, key=OTHER)
    train(tiny.plain(), root, key=KEY)
    assert signed_claim(root) == (root / "claim.json").read_bytes()
    assert attestation_path(root, COMMITMENT).exists()
    found = read_attestation(attestation_path(root, CLAIM).read_bytes(), "claim", where="a")
    assert found.seconds_per_step is None, "nobody knows how fast the first steps were"


def test_a_run_that_was_killed_before_it_signed_is_signed_by_the_same_call(tmp_path: Path) -> None:
    root = tmp_path / "proof"
    train(tiny.plain(), root, steps=STEPS, key=KEY)
    envelope = attestation_path(root, CLAIM).read_bytes()
    train(tiny.plain(), root, key=KEY)
    assert attestation_path(root, CLAIM).read_bytes() == envelope, "a timestamp may be over it"
    attestation_path(root, CLAIM).unlink()
    train(tiny.plain(), root, key=KEY)
    assert signed_claim(root) == (root / "claim.json").read_bytes()
    attestation_path(root, CLAIM).write_bytes(b"{}")
    with pytest.raises(ProofError, match=r"claim\.dsse\.json"):
        train(tiny.plain(), root, key=KEY)
    assert open_proof(root).claim is not None


def test_a_directory_with_attestations_of_another_run_is_refused_before_it_trains(tmp_path: Path) -> None:
    root = tmp_path / "proof"
    attestation_path(root, CLAIM).parent.mkdir(parents=True)
    attestation_path(root, CLAIM).write_bytes(b"{}")
    with pytest.raises(UsageError, match=r"attestations/claim\.dsse\.json"):
        train(tiny.plain(), root, steps=STEPS, key=KEY)


def test_the_key_is_the_prover() -> None:
    assert choices_of(Choices(), None).prover is None
    assert choices_of(Choices(seed="1"), KEY) == Choices(seed="1", prover=public_text(KEY))
    with pytest.raises(UsageError, match="the choices name the prover"):
        choices_of(Choices(prover=public_text(OTHER)), KEY)


def test_a_pace_is_no_longer_than_the_steps_took(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((10.0, 12.0, 15.0))
    monkeypatch.setattr("pol_jax.proving.signing.monotonic", lambda: next(times))
    pace = Pace()
    for step in range(4):
        pace.see(step)
    assert pace.seconds_per_step(3) == 5 / 3
    assert pace.seconds_per_step(4) is None
    late = Pace()
    assert late.seconds_per_step(0) is None


SECRET = b"thirty-two bytes that are secret"


def test_secrets_are_not_in_what_a_traceback_shows() -> None:
    asked = ProofRequest(path="proof", secret=SECRET)
    shown = [repr(Choices(secret=SECRET)), repr(asked), f"{asked}", repr(KEY)]
    with pytest.raises(UsageError) as raised:
        choices_of(Choices(prover=public_text(OTHER), secret=SECRET), KEY)
    shown += traceback.TracebackException.from_exception(raised.value, capture_locals=True).format()
    for text in shown:
        assert "thirty-two" not in text
        assert KEY.private_bytes_raw().hex() not in text
