"""A stolen proof that is signed again names the thief; stolen weights are no draw."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from unsandboxed import verify

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.attesting.attestation import read_attestation
from pol_jax.attesting.folder import CLAIM, attestation_path
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.proof import open_proof


def test_a_keyless_proof_is_signed_by_each_thief_in_their_own_name(plain_proof: Path, tmp_path: Path) -> None:
    signers = set()
    for seed in (1, 2):
        victim = Setting(open_proof(plain_proof), tiny.plain(), seed, 0.5)
        forged = attack_named("keyless-proof-signed-again").forge(victim, tmp_path / f"{seed}")
        assert (forged.false_steps, forged.gradients, forged.transcript) == ((), 0, None)
        assert open_proof(forged.root).claim == victim.victim.claim
        content = attestation_path(forged.root, CLAIM).read_bytes()
        signers |= set(read_attestation(content, "claim", where="it", pinned=None).signers)
    assert len(signers) == 2
    with pytest.raises(UsageError, match="needs the proof of a prover who has committed to a key"):
        attack_named("stolen-proof-signed-again").forge(victim, tmp_path / "signed")


def test_weights_that_were_trained_are_no_draw(setting: Setting, tmp_path: Path) -> None:
    """The paper's own defence against this one; it holds once a leaf has moved enough."""
    forged = attack_named("stolen-weights").forge(setting, tmp_path / "forged")
    assert forged.false_steps == (0,)
    report = verify(forged.root, forged.source, policy=AllSegments(), nonce=b"x")
    assert report.verdict is Verdict.REJECTED
    assert any("stage 7" in reason for reason in report.reasons)
