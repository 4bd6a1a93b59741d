"""`pol resolve` decides the cases of docs/attestation.md, section 10, with true proofs, copies and thieves."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
import tiny
from commands import pol
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forge import Forger, claim_of
from timestamp_authority import Authority

from pol_jax.attesting.attestation import attest_claim
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.folder import CLAIM, CLAIM_TOKEN, COMMITMENT, attestation_path
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.timestamp import make_request
from pol_jax.judging.dispute import Resolution, Standing, resolve
from pol_jax.judging.party import Party
from pol_jax.proving.choices import Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import open_proof

OWNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THIEF = Ed25519PrivateKey.from_private_bytes(bytes(32))
STEPS = 6

pytestmark = pytest.mark.usefixtures("in_process")


def make(
    root: Path, key: Ed25519PrivateKey | None, seed: str = "1", start: Start | None = None, steps: int = STEPS
) -> Path:
    train(tiny.plain(), root, steps=steps, choices=Choices(seed=seed, start=start), key=key)
    return root


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's proof."""
    return make(tmp_path_factory.mktemp("disputes") / "owned", OWNER)


@pytest.fixture(scope="module")
def stolen_weights(owned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The thief's proof that starts from the owner's final weights, of which it says nothing."""
    state = select_parameters(read_final_state(open_proof(owned)))
    weights = {"params": {"w": state["/params/w"], "b": state["/params/b"]}}
    return make(tmp_path_factory.mktemp("disputes") / "stolen", THIEF, "2", Start(weights, ("/params",)))


def settled(first: Path, second: Path, *more: str | Path) -> tuple[int, list[str]]:
    """The exit code and the lines; and the order of the two changes the winner's place alone."""

    def both_ways(one: Party, other: Party) -> Resolution:
        found, swapped = resolve(one, other), resolve(other, one)
        exchanged = {Standing.FIRST: Standing.SECOND, Standing.SECOND: Standing.FIRST}
        assert swapped.standing is exchanged.get(found.standing, found.standing)
        return found

    with patch("pol_jax.cli.resolve.resolve", both_ways):
        done = pol("resolve", first, second, "--task", "tiny:plain", "--all", *more)
    assert done.stdout, done.output
    return done.exit_code, done.stdout.splitlines()


def sign_as(root: Path, key: Ed25519PrivateKey) -> None:
    state = read_final_state(open_proof(root))
    subjects = name_final(parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state))
    attestation_path(root, CLAIM).write_bytes(attest_claim((root / "claim.json").read_bytes(), subjects, key))
    attestation_path(root, COMMITMENT).unlink(missing_ok=True)


def test_a_copy_signed_by_another_key_loses(owned: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(owned, tmp_path / "copy"))
    sign_as(copy, THIEF)
    code, lines = settled(owned, copy)
    assert (code, lines[0]) == (0, f"{owned} stands")
    assert "the prover whom the commitment names" in lines[1]


def test_a_copy_without_a_signature_loses_and_an_exact_copy_is_the_prover_s(owned: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(owned, tmp_path / "copy"))
    code, lines = settled(owned, copy)
    assert (code, lines[0]) == (0, "both stand")
    assert f"both are copies of one proof, which is that of {public_text(OWNER)}, whoever holds them" in lines[1]
    shutil.rmtree(copy / "attestations")
    code, lines = settled(owned, copy)
    assert (code, lines[0]) == (0, f"{owned} stands")


def test_a_copy_with_a_true_fine_tuning_behind_it_shows_only_the_fine_tuning(owned: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(owned, tmp_path / "copy"))
    tuned = make(tmp_path / "tuned", THIEF, "2", Start(open_proof(copy), ("/params",)))
    for more in (("--parent", copy), ("--model", tuned / f"checkpoints/{STEPS:010d}")):
        code, lines = settled(owned, tuned, *more)
        assert (code, lines[0]) == (0, f"{owned} stands")
        assert "begins with the final state of" in lines[1]


def test_a_copy_with_an_edited_claim_gains_nothing_and_nor_does_what_is_behind_it(owned: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(owned, tmp_path / "copy", ignore=shutil.ignore_patterns("attestations")))
    forger = Forger(copy)  # where it was made is the prover's word, and the claim's digest covers it
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, libraries=("a library 1",)))
    assert claim_of(copy) != claim_of(owned)
    code, lines = settled(owned, copy)
    assert (code, lines[0]) == (0, f"{owned} stands")
    assert "both are of one commitment" in lines[1]
    tuned = make(tmp_path / "tuned", THIEF, "2", Start(open_proof(copy), ("/params",)))
    code, lines = settled(owned, tuned, "--parent", copy, "--model", tuned / f"checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (0, f"{owned} stands")
    assert "begins with the final state of" in lines[1]


def test_a_foreign_timestamp_on_a_copy_leaves_nothing_undecided(
    owned: Path, authority: Authority, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path / "foreign", name="the Thief's")
    copy = Path(shutil.copytree(owned, tmp_path / "copy"))
    attestation_path(copy, CLAIM_TOKEN).write_bytes(
        foreign.answer(make_request(attestation_path(copy, CLAIM).read_bytes()))
    )
    code, lines = settled(owned, copy, "--tsa-roots", authority.root)
    assert (code, lines[0]) == (0, f"{owned} stands")
    assert lines[2] == f"  only {owned} is accepted with their signature"


def test_a_damaged_earlier_proof_of_a_thief_s_refutes_nobody(owned: Path, tmp_path: Path) -> None:
    child = make(tmp_path / "child", OWNER, "2", Start(open_proof(owned), ("/params",)))
    copy = Path(shutil.copytree(owned, tmp_path / "copy"))
    (copy / "checkpoints" / f"{0:010d}" / "_METADATA").write_bytes(b"damaged")
    code, lines = settled(child, copy)
    assert (code, lines[0]) == (3, "it can't be decided")
    assert "whose proof is missing" in lines[1]
    code, lines = settled(child, copy, "--parent", owned)
    assert (code, lines[0]) == (0, f"{child} stands")


def test_a_thief_s_weights_that_can_t_be_read_keep_nobody_from_a_verdict(
    owned: Path, stolen_weights: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(stolen_weights, tmp_path / "damaged"))
    shutil.rmtree(damaged / "checkpoints" / f"{0:010d}")
    code, lines = settled(owned, damaged)
    assert (code, lines[0]) == (0, f"{owned} stands")
    assert f"{damaged} is rejected" in lines[1]


def test_weights_put_into_a_run_from_outside_win_nothing(owned: Path, tmp_path: Path) -> None:
    stolen = select_parameters(read_final_state(open_proof(owned)))
    with Recording(tiny.plain(), tmp_path / "given", steps=STEPS, choices=Choices(seed="2"), key=THIEF) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == STEPS:
                state = recording.intervene(state, stolen, "better")
            state, _ = recording.step(state, inputs)
    code, lines = settled(owned, tmp_path / "given", "--model", tmp_path / f"given/checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (3, "it can't be decided")
    assert "was given weights of which nothing shows where they come from" in lines[1]


def test_a_thief_who_trains_from_stolen_weights_loses(owned: Path, stolen_weights: Path, tmp_path: Path) -> None:
    code, lines = settled(owned, stolen_weights, "--model", stolen_weights / f"checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (0, f"{owned} stands"), lines
    assert "these are the final parameters of" in lines[1]
    tuned = make(tmp_path / "tuned", THIEF, "3", Start(open_proof(stolen_weights), ("/params",)))  # once more
    code, lines = settled(owned, tuned, "--parent", stolen_weights, "--model", tuned / f"checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (0, f"{owned} stands"), lines
    assert "these are the final parameters of" in lines[1]


def test_weights_that_a_thief_moved_a_little_are_of_unproven_origin(owned: Path, tmp_path: Path) -> None:
    state = select_parameters(read_final_state(open_proof(owned)))
    weights = {"params": {"w": state["/params/w"] + np.float32(1e-3), "b": state["/params/b"]}}
    moved = make(tmp_path / "moved", THIEF, "2", Start(weights, ("/params",)))
    code, lines = settled(owned, moved)
    assert (code, lines[0]) == (3, "it can't be decided")
    assert "of which nothing shows where they come from" in lines[1]
    code, lines = settled(owned, moved, "--model", owned / f"checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (0, f"{owned} stands")


def test_two_honest_proofs_of_one_task_both_stand_and_a_model_is_that_of_one(owned: Path, tmp_path: Path) -> None:
    another = make(tmp_path / "another", THIEF, "2")
    code, lines = settled(owned, another)
    assert (code, lines[0]) == (0, "both stand")
    assert "two trainings with two final models" in lines[1]
    code, lines = settled(owned, another, "--model", another / f"checkpoints/{STEPS:010d}")
    assert (code, lines[0]) == (0, f"{another} stands")
    np.savez(tmp_path / "model.npz", w=np.zeros((16, 3), np.float32), b=np.zeros(3, np.float32))
    code, lines = settled(owned, another, "--model", tmp_path / "model.npz")
    assert (code, lines[0]) == (1, "neither stands")


def test_an_earlier_timestamp_saves_no_proof_that_does_not_verify(
    owned: Path, authority: Authority, tmp_path: Path
) -> None:
    false_proof = make(tmp_path / "false", THIEF, "2", steps=2 * STEPS)
    forger = Forger(false_proof)
    forger.change(9, state=bytes(32))
    forger.write()
    sign_as(false_proof, THIEF)
    later = Path(shutil.copytree(owned, tmp_path / "later"))
    for root in (false_proof, later):  # the false one first
        attestation_path(root, CLAIM_TOKEN).write_bytes(
            authority.answer(make_request(attestation_path(root, CLAIM).read_bytes()))
        )
    code, lines = settled(later, false_proof, "--tsa-roots", authority.root)
    assert (code, lines[0]) == (0, f"{later} stands"), lines
    assert f"{false_proof} is rejected" in lines[1]


def test_a_later_true_proof_stands_against_an_earlier_anonymous_one(
    owned: Path, authority: Authority, tmp_path: Path
) -> None:
    anonymous = make(tmp_path / "anonymous", None, "2")
    (anonymous / "attestations").mkdir()
    sign_as(anonymous, THIEF)
    later = Path(shutil.copytree(owned, tmp_path / "later"))
    for root in (anonymous, later):
        attestation_path(root, CLAIM_TOKEN).write_bytes(
            authority.answer(make_request(attestation_path(root, CLAIM).read_bytes()))
        )
    code, lines = settled(later, anonymous, "--tsa-roots", authority.root)
    assert (code, lines[0]) == (0, f"{later} stands")
    assert any("is anonymous: whoever holds it, it shows nobody's training" in line for line in lines)


def test_the_owner_s_own_second_proof_is_no_dispute(owned: Path, tmp_path: Path) -> None:
    second = make(tmp_path / "second", OWNER, "2")
    code, lines = settled(owned, second)
    assert (code, lines[0]) == (0, "both stand")
    assert f"both are of the prover {public_text(OWNER)}, who signed both" in lines[1]


def test_calls_without_meaning_are_one_line(owned: Path, tmp_path: Path) -> None:
    assert pol("publish", owned, "--out", tmp_path / "bundle").exit_code == 0
    for arguments in (
        (owned, owned),
        (owned, tmp_path),
        (owned, tmp_path / "bundle"),  # of an owner, it must not lose
        (owned, tmp_path / "none", "--all", "--confidence", "0.5"),
        (owned, tmp_path / "none", "--model", tmp_path / "model.npz"),
    ):
        wrong = pol("resolve", *arguments, "--task", "tiny:plain")
        assert wrong.exit_code == 2, wrong.output
        assert len(wrong.stderr.strip().splitlines()) == 1
