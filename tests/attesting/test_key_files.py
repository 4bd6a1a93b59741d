"""Keys in files, with and without passphrase, and their public half in the commitment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import pol
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from programs import needs

from pol_jax.attesting.key_files import read_private_key, write_new_key
from pol_jax.attesting.public_key import public_text
from pol_jax.errors import PolError, UsageError
from pol_jax.storage.proof import open_proof

PASSPHRASE = "correct horse, batterie g\u00e9n\u00e9rale"  # noqa: S105  # of a key that nobody has


def test_keygen_and_key_put_the_public_half_into_the_commitment(tmp_path: Path) -> None:
    made = pol("keygen", tmp_path / "key.pem")
    assert made.exit_code == 0
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert pol("keygen", tmp_path / "key.pem").exit_code == 2
    arguments = ("train", "tiny:plain", "--out", tmp_path / "proof", "--steps", "2", "--key", tmp_path / "key.pem")
    assert pol(*arguments).exit_code == 0
    assert open_proof(tmp_path / "proof").commitment.prover == made.stdout.strip()


def test_a_passphrase_is_needed_and_asked_for_only_then(tmp_path: Path) -> None:
    plain, protected = tmp_path / "plain", tmp_path / "protected"
    public = write_new_key(protected, PASSPHRASE)
    assert protected.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED PRIVATE KEY" in protected.read_bytes()
    assert public_text(read_private_key(protected, lambda: PASSPHRASE)) == public
    other = write_new_key(plain)
    assert public_text(read_private_key(plain, lambda: pytest.fail("asked"))) == other


@pytest.mark.parametrize("given", ["", "xyzzy", PASSPHRASE + " ", "x" * 2000, "\0"])
def test_a_wrong_passphrase_is_one_line_that_does_not_show_it(given: str, tmp_path: Path) -> None:
    write_new_key(tmp_path / "key", PASSPHRASE)
    with pytest.raises(UsageError) as refused:
        read_private_key(tmp_path / "key", lambda: given)
    assert "passphrase" in str(refused.value)
    assert not given or given not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_nobody_to_ask_is_one_clear_line(tmp_path: Path) -> None:
    write_new_key(tmp_path / "key", PASSPHRASE)
    with pytest.raises(UsageError, match="protected by a passphrase"):
        read_private_key(tmp_path / "key")


@pytest.mark.parametrize("passphrase", ["", "x" * 1001])
def test_no_key_is_written_with_a_bad_passphrase(passphrase: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected 1 to 1000"):
        write_new_key(tmp_path / "key", passphrase)
    assert not (tmp_path / "key").exists()


def test_files_that_are_no_such_keys_are_refused_in_one_line(tmp_path: Path) -> None:
    elliptic = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new_key(tmp_path / "key", PASSPHRASE)
    protected = (tmp_path / "key").read_bytes()
    for content, problem in (
        (b"", "no private key"),
        (elliptic, "expected an Ed25519 key"),
        (protected[:100], "is wrong, or the file is damaged"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "is wrong, or the file is damaged"),
        (bytes(2**15), "no private key"),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UsageError, match=problem):
            read_private_key(tmp_path / "bad", lambda: PASSPHRASE)
    with pytest.raises(PolError, match="can't be written"):
        write_new_key(tmp_path / "no" / "key")


def test_openssl_reads_a_protected_key(tmp_path: Path) -> None:
    needs("openssl")
    public = write_new_key(tmp_path / "key", "a passphrase")
    command = ["openssl", "pkey", "-in", "key", "-passin", "pass:a passphrase", "-pubout", "-outform", "DER"]
    read = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert read.stdout[-32:].hex() == public.removeprefix("ed25519:")
