"""The whole story on the command line: who trained, when, for whose eyes, and which model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import pol
from programs import needs
from timestamp_authority import Authority, reply, serving

from pol_jax.attesting.age_keys import write_new_identity
from pol_jax.cli import attestation_commands

SECRET = "xyzzy and plugh"  # noqa: S105  # of a key that nobody has


def test_the_story_from_a_key_to_a_copy_that_an_auditor_checks(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def done(*arguments: str, answers: str | None = None) -> str:
        result = pol(*arguments, answers=answers)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.output
        return result.stdout

    signer = done("keygen", "key.pem", "--passphrase", answers=f"{SECRET}\n{SECRET}\n").strip()
    done("train", "tiny:plain", "--out", "proof", "--steps", "12", "--key", "key.pem", answers=f"{SECRET}\n")
    envelope = "proof/attestations/claim.dsse.json"
    with serving(lambda handler, body: reply(handler, authority.answer(body))) as url:
        done("timestamp", envelope, "--tsa", url, "--out", "claim.tsr")
    time = ("--timestamp", "claim.tsr", "--tsa-roots", str(authority.root))
    shown = done("check", "proof", "--signer", signer, *time)
    assert f"signed by {signer}, the signer that was asked for" in shown
    assert "Training ended before" in shown

    thief = done("keygen", "thief.pem").strip()
    refused = pol("check", "proof", "--signer", thief, *time)
    assert refused.exit_code == 1
    assert f"expected the signer {thief}" in refused.stderr

    recipient = write_new_identity(tmp_path / "auditor")
    done("encrypt", "proof", "--to", recipient, "--out", "proof.age")
    done("decrypt", "proof.age", "--identity", "auditor", "--out", "copy")
    assert "is the prover whom the commitment names" in done("check", "copy", "--signer", signer)


def test_a_passphrase_that_nobody_gives_makes_no_key(tmp_path: Path) -> None:
    refused = pol("keygen", tmp_path / "key.pem", "--passphrase", answers="")
    assert (refused.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "pol: Passphrase: nobody answers here" in refused.stderr


def test_a_secret_in_the_place_of_a_file_is_not_shown(signed: Path, tmp_path: Path) -> None:
    write_new_identity(tmp_path / "auditor")
    identity = (tmp_path / "auditor").read_text().splitlines()[-1]
    key = (signed / "key.pem").read_text()
    for secret, arguments in (
        (identity, ("decrypt", tmp_path / "proof.age", "--identity", identity, "--out", tmp_path / "copy")),
        (identity.lower(), ("verify", signed / "proof", "--tsa-roots", identity.lower())),
        (key, ("sign", signed / "proof", "--key", key, "--out", tmp_path / "envelope")),
        (key[:60], ("check", signed / "proof", "--signer", key[:60])),
    ):
        refused = pol(*arguments)
        assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1), refused.output
        assert "(a secret key)" in refused.stderr
        assert not any(part in refused.output for part in secret.splitlines() if "PRIVATE" not in part)


def test_a_wrong_passphrase_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert pol("keygen", "key.pem", "--passphrase", answers=f"{SECRET}\n{SECRET}\n").exit_code == 0
    refused = pol("sign", runs / "a", "--key", "key.pem", "--out", "envelope", answers="plover\n")
    assert refused.exit_code == 2
    assert "the passphrase is wrong" in refused.stderr
    assert "plover" not in refused.output
    assert not Path("envelope").exists()
    untrained = pol("train", "tiny:plain", "--out", "proof", "--key", "key.pem", answers="plover\n")
    assert (untrained.exit_code, "the passphrase is wrong" in untrained.stderr) == (2, True)
    assert "plover" not in untrained.output
    assert not Path("proof").exists()


def test_age_decrypts_what_was_encrypted_to_its_key(runs: Path, tmp_path: Path) -> None:
    needs("age", "age-keygen", "tar")
    identity, encrypted = tmp_path / "identity", tmp_path / "proof.age"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    asked = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True)
    assert pol("encrypt", runs / "a", "--to", asked.stdout.strip(), "--out", encrypted).exit_code == 0
    archive = subprocess.run(["age", "-d", "-i", identity, encrypted], check=True, capture_output=True).stdout
    claim = subprocess.run(["tar", "xO", "claim.json"], input=archive, check=True, capture_output=True).stdout
    assert claim == (runs / "a" / "claim.json").read_bytes()


def test_wrong_calls_leave_nothing(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipient, other = write_new_identity(tmp_path / "auditor"), write_new_identity(tmp_path / "other")
    assert recipient != other
    proof = str(runs / "a")
    assert pol("encrypt", proof, "--to", recipient, "--out", "proof.age").exit_code == 0
    damaged = bytearray(Path("proof.age").read_bytes())
    damaged[-100] ^= 1
    Path("damaged.age").write_bytes(damaged)
    before = sorted(tmp_path.iterdir())
    for code, arguments in (
        (2, ("encrypt", str(tmp_path), "--to", recipient, "--out", "x")),
        (2, ("encrypt", proof, "--to", "age1nobody", "--out", "x")),
        (2, ("encrypt", proof, "--to", recipient, "--out", "proof.age")),
        (2, ("encrypt", proof, "--to", recipient, "--out", f"{proof}/x")),
        (2, ("decrypt", "proof.age", "--identity", "other", "--out", "x")),
        (2, ("decrypt", "none.age", "--identity", "auditor", "--out", "x")),
        (1, ("decrypt", "damaged.age", "--identity", "auditor", "--out", "x")),
        (2, ("keygen", f"{proof}/key.pem")),
        (2, ("keygen", "auditor")),
    ):
        wrong = pol(*arguments)
        assert wrong.exit_code == code, (arguments, wrong.output)
        assert len(wrong.stderr.strip().splitlines()) == 1
        assert sorted(tmp_path.iterdir()) == before


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for command in attestation_commands.COMMANDS:
        for option in command.params:
            named = {*option.opts} & {"--passphrase", "--password", "--secret"}
            assert not named or getattr(option, "is_flag", False)
