"""Keys in files, and their public half in the commitment."""

from __future__ import annotations

from pathlib import Path

from commands import pol

from pol_jax.storage.proof import open_proof


def test_keygen_and_key_put_the_public_half_into_the_commitment(tmp_path: Path) -> None:
    made = pol("keygen", tmp_path / "key.pem")
    assert made.exit_code == 0
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert pol("keygen", tmp_path / "key.pem").exit_code == 2
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "2", "--key", tmp_path / "key.pem")
    assert pol(*arguments).exit_code == 0
    assert open_proof(tmp_path / "proof").commitment.prover == made.stdout.strip()
