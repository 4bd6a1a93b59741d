"""`pol check` checks what needs no replay: documents, ledger, signatures, times, and a model at hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes  # noqa: F401  names of types
import numpy as np
import pytest
from commands import environment, pol
from places import TESTS
from timestamp_authority import Authority

from pol_jax.attesting.attestation import attest_claim
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.key_files import read_private_key
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.timestamp import make_request
from pol_jax.cli.documents import check_documents
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol.limits import Limits
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import open_proof


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """A copy of the signed folder."""
    folder = tmp_path / "copy"
    shutil.copytree(signed, folder)
    return folder


@pytest.mark.parametrize("name", ["proof", "proof/attestations/claim.dsse.json"])
def test_a_pinned_signer_whom_the_commitment_names(name: str, signed: Path) -> None:
    checked = pol("check", signed / name, "--signer", signed / "signer")
    assert checked.exit_code == 0, checked.output
    for words in ("the signer that was asked for", "is the prover whom the commitment names", "Nothing was replayed"):
        assert words in checked.stdout
    state = read_final_state(open_proof(signed / "proof"))
    assert "It is about final parameters" in checked.stdout
    assert len(state) == 6


def test_an_unpinned_signer_is_the_first_line(signed: Path) -> None:
    checked = pol("check", signed / "proof")
    assert checked.exit_code == 0
    assert "no signer was asked for" in checked.stdout.splitlines()[0]


def test_another_signer_is_a_refusal(signed: Path, tmp_path: Path) -> None:
    other = pol("keygen", tmp_path / "other.pem").stdout.strip()
    refused = pol("check", signed / "proof", "--signer", other)
    assert refused.exit_code == 1
    assert f"expected the signer {other}" in refused.stderr
    assert not refused.stdout
    private = pol("check", signed / "proof", "--signer", signed / "key.pem")
    assert (private.exit_code, "private key" in private.stderr) == (2, True)


def test_an_anonymous_proof_says_so_signed_or_not(signed: Path, runs: Path, tmp_path: Path) -> None:
    alone = pol("check", runs / "a")
    assert alone.exit_code == 0
    assert alone.stdout.startswith("The proof is anonymous")
    assert pol("check", runs / "a", "--signer", signed / "signer").exit_code == 2
    envelope = tmp_path / "envelope"
    assert pol("sign", runs / "a", "--key", signed / "key.pem", "--out", envelope).exit_code == 0
    checked = pol("check", envelope, "--proof", runs / "a", "--signer", signed / "signer")
    assert checked.exit_code == 0
    assert "shows who signed, and not who trained" in checked.stdout.splitlines()[0]


def test_an_envelope_alone_says_what_stays_open(signed: Path, tmp_path: Path) -> None:
    envelope = tmp_path / "alone.json"
    shutil.copyfile(signed / "proof/attestations/claim.dsse.json", envelope)
    unpinned = pol("check", envelope)
    assert unpinned.exit_code == 3
    assert "No proof is at hand" in unpinned.stdout
    assert pol("check", envelope, "--signer", signed / "signer").exit_code == 0


def test_attestations_behind_a_link_are_not_the_proof_s(copy: Path, signed: Path) -> None:
    shutil.rmtree(copy / "proof" / "attestations")
    (copy / "proof" / "attestations").symlink_to(signed / "proof" / "attestations")
    checked = pol("check", copy / "proof")
    assert (checked.exit_code, "The proof is not signed" in checked.stdout) == (0, True)


def test_an_envelope_of_another_proof_is_a_refusal(signed: Path, runs: Path) -> None:
    refused = pol("check", signed / "proof/attestations/claim.dsse.json", "--proof", runs / "a")
    assert refused.exit_code == 1
    assert "signs another claim" in refused.stderr


@pytest.mark.parametrize("name", ["claim.json", "commitment.json", "records", "ledger/000000000.parquet"])
def test_a_changed_file_is_a_refusal(name: str, copy: Path) -> None:
    file = copy / "proof" / name
    file = file if file.exists() else next((copy / "proof" / "ledger").iterdir())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused = pol("check", copy / "proof")
    assert refused.exit_code == 1, refused.output
    assert len(refused.stderr.strip().splitlines()) == 1


def test_an_extra_file_and_no_proof_are_refused(copy: Path) -> None:
    with pytest.raises(UsageError, match="no proof here"):
        check_documents(copy, Limits())
    (copy / "proof" / "notes.txt").write_text("x")
    with pytest.raises(ProofError, match="no file of a proof"):
        check_documents(copy / "proof", Limits())
    (copy / "proof" / "notes.txt").unlink()
    (copy / "proof" / "claim.json").unlink()
    with pytest.raises(UsageError, match="not finished"):
        check_documents(copy / "proof", Limits())


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("commitment", "0" * 64, "is not the commitment that the claim names"),
        ("ledger_root", "0" * 64, "its Merkle root is not the claimed one"),
        ("final_state", "0" * 64, "is not the digest in row 12"),
    ],
)
def test_documents_that_disagree_are_refused(field: str, value: str, problem: str, copy: Path) -> None:
    proof = copy / "proof"
    claim = json.loads((proof / "claim.json").read_bytes()) | {field: value}
    (proof / "claim.json").write_text(json.dumps(claim, sort_keys=True, separators=(",", ":")))
    (proof / "inventory.json").write_bytes(take_inventory(proof, Limits()))
    with pytest.raises(ProofError, match=problem):
        check_documents(proof, Limits())


def test_time_is_checked_under_given_roots(signed: Path, authority: Authority, tmp_path: Path) -> None:
    envelope, commitment = signed / "proof/attestations/claim.dsse.json", signed / "proof" / "commitment.json"
    early, late = tmp_path / "commitment.tsr", tmp_path / "claim.tsr"
    early.write_bytes(authority.answer(make_request(commitment.read_bytes())))
    late.write_bytes(authority.answer(make_request(envelope.read_bytes())))
    both = ("--timestamp", late, "--commitment-timestamp", early)
    checked = pol("check", signed / "proof", *both, "--tsa-roots", authority.root)
    assert checked.exit_code == 0, checked.output
    assert "Training ended before" in checked.stdout
    assert "by the prover's word" in checked.stdout
    kept = tmp_path / "kept"
    shutil.copytree(signed / "proof", kept)
    for token in (early, late):
        shutil.copyfile(token, kept / "attestations" / token.name)
    assert "Training ended before" in pol("check", kept, "--tsa-roots", authority.root).stdout
    assert "No time was checked" in pol("check", kept).stdout
    swapped = pol("check", envelope, "--timestamp", early, "--tsa-roots", authority.root)
    assert (swapped.exit_code, "over another digest" in swapped.stderr) == (1, True)
    rootless = pol("check", envelope, "--timestamp", late)
    assert (rootless.exit_code, "--tsa-roots" in rootless.stderr) == (2, True)
    assert "No time was checked" in pol("check", envelope).stdout


def test_the_committed_beacon_is_checked_with_its_round(tmp_path: Path) -> None:
    vectors = TESTS / "attesting" / "vectors"
    beacon = json.loads((vectors / "beacons.json").read_text())[2]["text"]
    rounds = [vector["round"] for vector in json.loads((vectors / "drand_published.json").read_text())]
    for name, found in (("right", rounds[2]), ("wrong", rounds[1])):
        (tmp_path / name).write_text(json.dumps(found))
    proof = tmp_path / "proof"
    assert pol("train", "tiny:plain", "--out", proof, "--steps", "6", "--beacon", beacon).exit_code == 0
    assert f"names the beacon {beacon}, which was not checked" in pol("check", proof).stdout
    checked = pol("check", proof, "--beacon-round", tmp_path / "right")
    assert checked.exit_code == 0, checked.output
    assert "Training began after 2023-08-23 15:59:24 UTC: the commitment names a beacon of that time." in checked.stdout
    assert pol("check", proof, "--beacon-round", tmp_path / "wrong").exit_code == 1
    again = ("train", "tiny:plain", "--out", proof, "--beacon")
    wrong = pol(*again, tmp_path / "wrong")
    assert (wrong.exit_code, "beacon" in wrong.stderr) == (2, True)
    assert pol(*again, tmp_path / "right").exit_code == 0
    assert "Training began after 2023-08-23 15:59:24 UTC" in pol("check", proof).stdout


def test_a_token_of_an_unknown_authority_refutes_nothing(signed: Path, authority: Authority, tmp_path: Path) -> None:
    """An honest prover may have asked an authority that this verifier doesn't know."""
    token = tmp_path / "claim.tsr"
    token.write_bytes(authority.answer(make_request((signed / "proof/attestations/claim.dsse.json").read_bytes())))
    known = Authority(tmp_path / "known", name="Known")
    found = pol("check", signed / "proof", "--timestamp", token, "--tsa-roots", known.root)
    assert (found.exit_code, "not a timestamp of" in found.stderr) == (3, True)


@pytest.mark.parametrize("beacon", [None, "a newspaper of that day"])
def test_a_round_beside_a_commitment_that_names_none_shows_nothing(beacon: str | None, tmp_path: Path) -> None:
    drawn = json.loads((TESTS / "attesting" / "vectors" / "drand_published.json").read_text())[2]["round"]
    (tmp_path / "round").write_text(json.dumps(drawn))
    proof, options = tmp_path / "proof", ("--beacon", beacon) if beacon else ()
    assert pol("train", "tiny:plain", "--out", proof, "--steps", "6", *options).exit_code == 0
    (proof / "attestations").mkdir(exist_ok=True)
    shutil.copyfile(tmp_path / "round", proof / "attestations" / "beacon.json")
    checked = pol("check", proof)
    assert (checked.exit_code, "No time was checked" in checked.stdout) == (0, True), checked.output
    named = pol("check", proof, "--beacon-round", tmp_path / "round")
    assert (named.exit_code, "names a round as its beacon" in named.stderr) == (2, True)


def test_a_model_is_the_signed_one_or_stays_open(signed: Path, tmp_path: Path) -> None:
    parameters = select_parameters(read_final_state(open_proof(signed / "proof")))
    np.savez(tmp_path / "model.npz", **parameters)  # type: ignore[arg-type]  # its stubs know flags
    equal = pol("check", signed / "proof", "--model", tmp_path / "model.npz")
    assert (equal.exit_code, "that were signed, bit for bit" in equal.stdout) == (0, True)
    changed = {name: values + 1 for name, values in parameters.items()}
    np.savez(tmp_path / "other.npz", **changed)  # type: ignore[arg-type]
    other = pol("check", signed / "proof", "--model", tmp_path / "other.npz")
    assert (other.exit_code, "is not what was signed" in other.stdout) == (3, True)
    envelope = tmp_path / "envelope"
    model = ("--model", tmp_path / "other.npz")
    assert pol("sign", signed / "proof", "--key", signed / "key.pem", *model, "--out", envelope).exit_code == 0
    deployed = pol("check", envelope, "--proof", signed / "proof", *model)
    assert (deployed.exit_code, "was signed, as other.npz" in deployed.stdout) == (0, True)


def test_signed_digests_are_compared_with_the_final_checkpoint(signed: Path, tmp_path: Path) -> None:
    held = pol("check", signed / "proof", "--arrays")
    assert held.exit_code == 0, held.output
    assert "final parameters and the final state of the proof" in held.stdout
    claim, key = (signed / "proof" / "claim.json").read_bytes(), read_private_key(signed / "key.pem")
    state = read_final_state(open_proof(signed / "proof"))
    right, wrong = digest_arrays(state), digest_arrays({"/w": np.zeros(1)})
    for name, parameters, whole in (
        ("parameters", wrong, right),
        ("state", digest_arrays(select_parameters(state)), wrong),
    ):
        envelope = tmp_path / name
        subjects = name_final(parameters=parameters, state=whole)
        envelope.write_bytes(attest_claim(claim, subjects, key))
        arguments = ("check", envelope, "--proof", signed / "proof", "--signer", signed / "signer")
        open_end = pol(*arguments)
        assert (open_end.exit_code, "claimed final state stays open (--arrays)" in open_end.stdout) == (0, True)
        refused = pol(*arguments, "--arrays")
        assert refused.exit_code == 1
        assert f"signs another final {name} than the proof has" in refused.stderr


def test_calls_without_meaning_are_one_line(signed: Path, runs: Path, tmp_path: Path) -> None:
    envelope, alone = signed / "proof/attestations/claim.dsse.json", tmp_path / "alone"
    shutil.copyfile(envelope, alone)
    for arguments in (
        ("nowhere",),
        (signed / "proof", "--proof", runs / "a"),
        (envelope, "--beacon-round", envelope),
        (alone, "--arrays"),
        (runs / "a", "--arrays"),
        (runs / "a", "--timestamp", envelope),
    ):
        wrong = pol("check", *arguments)
        assert wrong.exit_code == 2, wrong.output
        assert len(wrong.stderr.strip().splitlines()) == 1


def test_it_starts_no_jax(signed: Path) -> None:
    script = (
        "import sys\nfrom pol_jax.cli.main import pol\n"
        f"pol(['check', {str(signed / 'proof')!r}], standalone_mode=False)\n"
    )
    script = script.replace("pol([", "try:\n    pol([", 1) + "except SystemExit as end:\n    assert end.code == 0\n"
    script += "print(sorted({'jax', 'jaxlib', 'orbax', 'flax'} & set(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout.endswith("[]\n"), done.stdout


def test_roots_that_are_no_certificates_are_refused_where_no_token_is_checked(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "roots").write_text("no certificate")
    refused = pol("check", signed / "proof", "--tsa-roots", tmp_path / "roots")
    assert (refused.exit_code, "certificate" in refused.stderr, refused.stdout) == (2, True, "")
