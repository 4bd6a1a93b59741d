"""What a coordinator accepts, what it refuses before it replays anything, and what a worker can't do to it."""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation import INTERVAL, STEPS, TRUSTED, assignment, judge, model, site, task
from places import SCRIPTS, TESTS
from untrusted.behaviours import BYZANTINE, honest, steering
from untrusted.worker import Answer

from pol_jax import (
    AllSegments,
    Assignment,
    Bounds,
    ListedSegments,
    ListedSteps,
    UpdateResult,
    Verdict,
    open_proof,
    register,
    train_update,
    verify_update,
)
from pol_jax.attesting import envelope
from pol_jax.attesting import folder as attestations
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Description
from pol_jax.proving.signing import sign_claim
from pol_jax.reports.outcomes import Mode
from pol_jax.sandbox.starting import python_process
from pol_jax.storage.ledger import segment_file
from pol_jax.workers import verify_update as module
from pol_jax.workers.documents import expect

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Of an honest worker."""
    return honest(site(0, tmp_path_factory.mktemp("honest")))


@pytest.fixture
def answer_copy(answer: Answer, tmp_path: Path) -> Answer:
    """Whose proof a test may damage."""
    return replace(answer, proof=Path(shutil.copytree(answer.proof, tmp_path / "copy")))


def refused_at_once(result: UpdateResult, *words: str) -> None:
    """Rejected by documents or arrays alone, in one line."""
    assert result.verdict is Verdict.REJECTED
    assert result.report is None
    assert result.replayed == 0
    assert all(word in result.reason for word in words), result.reason
    assert "\n" not in result.reason


def refused(result: UpdateResult, stage: int, *words: str) -> None:
    """Rejected by the verification, in a stage."""
    assert result.verdict is Verdict.REJECTED, result
    assert result.report is not None
    assert result.reason.startswith(f"stage {stage}, "), result.reason
    assert all(word in result.reason for word in words), result.reason


def test_an_honest_update_is_accepted(answer: Answer) -> None:
    """In the true sandbox; the cost is that of every step, and of the self-test."""
    result = judge(answer)
    assert result, result.reason
    assert "were reproduced bit for bit" in result.reason
    assert (result.steps, result.replayed) == (STEPS, STEPS + INTERVAL)


def test_the_coordinator_knows_the_commitment_beforehand(answer: Answer) -> None:
    expected = expect(TRUSTED, assignment(0), model(1))
    assert expected.commitment == open_proof(answer.proof).commitment


def test_a_false_update_costs_no_replay_and_is_one_line(answer: Answer) -> None:
    """In the true sandbox; the reason names the leaf."""
    wrong = {"params": {**answer.update["params"], "b": answer.update["params"]["b"] + np.float32(1e-3)}}
    result = judge(replace(answer, update=wrong))
    refused(result, 6, "leaf /params/b is not that of the model at hand")
    assert result.replayed == 0
    assert len(repr(result)) < 400


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", BYZANTINE)
def test_every_byzantine_behaviour_is_caught(name: str, tmp_path: Path) -> None:
    elsewhere = "can't be judged here"  # what a worker does to say that its backend is another one
    reasons = {
        "random weights": (6, "is not that of the model at hand"),
        "sign flip": (6, "is not that of the model at hand"),
        "scaled": (6, "is not that of the model at hand"),
        "stale": (0, "it starts from other weights than those that were sent out"),
        "copied": (0, "the seed is of another round or another worker"),
        "lazy": (0, f"schedule.steps is {STEPS // 3}, expected {STEPS}"),
        "flipped labels": (0, "it was trained on other data than this worker registered"),
        "hidden flipped labels": (9, "are not what this machine gives"),
        "forged ledger": (9, "are not what this machine gives"),
        "false states between": (9, f"the replay of step {INTERVAL + 1} differs from the ledger (state_digest)"),
        "another program": (3, "programs differ from those of the trusted source"),
        "hidden program": (9, "are not what this machine gives"),
        "intervening": (0, f"changed the state from outside after step {STEPS - 1}"),
        "steering": (9, elsewhere),
    }
    stage, words = reasons[name]
    answer = BYZANTINE[name](site(0, tmp_path))
    bare = BYZANTINE[name](replace(site(0, tmp_path / "bare"), proves=False, neighbour=lambda: answer))
    if name != "copied":
        for leaf in ("w", "b"):
            assert np.array_equal(bare.update["params"][leaf], answer.update["params"][leaf]), (
                "the same without a proof"
            )
    result = judge(answer)
    if words == elsewhere:
        assert result.verdict is Verdict.INCONCLUSIVE
        assert words in result.reason
    elif stage:
        refused(result, stage, words)
    else:
        refused_at_once(result, words)
    assert stage == 9 or result.replayed == 0


STEPS_ASKED = ListedSteps((1, 4, STEPS))


def judge_opening(answer: Answer, folder: Path, opening: bytes, **asked: Any) -> UpdateResult:
    """Verify an answer of worker 0 by claim and opening, without its records."""
    documents = folder / "documents"
    documents.mkdir(exist_ok=True)
    for name in ("claim.json", "commitment.json"):
        shutil.copyfile(answer.proof / name, documents / name)
    (folder / "an opening").write_bytes(opening)
    given: dict[str, Any] = {"policy": STEPS_ASKED, "nonce": b"challenge"} | asked
    evidence = documents, folder / "an opening"
    return verify_update(model(1), answer.update, evidence, assignment(0), trusted=TRUSTED, **given)


@pytest.fixture(scope="module")
def opening(answer: Answer) -> bytes:
    """Of the steps that are asked for."""
    return answer.open(task(0).source, STEPS_ASKED.steps).encode()


@pytest.mark.usefixtures("in_process")
def test_a_coordinator_without_the_records_asks_for_an_opening(answer: Answer, opening: bytes, tmp_path: Path) -> None:
    result = judge_opening(answer, tmp_path, opening)
    assert result, result.reason
    assert result.replayed == 3
    wrong = replace(answer, update={"params": {n: -leaf for n, leaf in answer.update["params"].items()}})
    refused(judge_opening(wrong, tmp_path, opening), 6, "is not that of the model at hand")
    other = judge_opening(answer, tmp_path, opening, policy=ListedSteps((1, 5, STEPS)))
    assert other.verdict is Verdict.INCONCLUSIVE
    assert "leaves out step 5, which was challenged" in other.reason


@pytest.mark.usefixtures("in_process")
def test_a_forged_step_is_met_in_an_opening(tmp_path: Path) -> None:
    forged = BYZANTINE["forged ledger"](site(0, tmp_path))
    opening = forged.open(task(0).source, STEPS_ASKED.steps).encode()
    refused(judge_opening(forged, tmp_path, opening), 9, "step 1 is not what this machine gives")


@pytest.mark.parametrize("share", [1e-3, 3e-6])
@pytest.mark.usefixtures("in_process")
def test_who_steers_under_another_backend_s_name_is_not_accepted(share: float, tmp_path: Path) -> None:
    """Each step is moved by a share of its own length that a norm over all elements would take for rounding."""
    steered = steering(site(0, tmp_path), share)
    opening = steered.open(task(0).source, STEPS_ASKED.steps).encode()
    result = judge_opening(steered, tmp_path, opening)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "can't be judged here" in result.reason


@pytest.mark.usefixtures("in_process")
def test_who_steers_by_less_than_rounding_gains_little(tmp_path: Path) -> None:
    """No tolerance can see it. What is accepted says so, and could be off by a bounded share of the way in all."""
    steered = steering(site(0, tmp_path), 3e-7)
    opening = steered.open(task(0).source, STEPS_ASKED.steps).encode()
    result = judge_opening(steered, tmp_path, opening)
    assert result.verdict is not Verdict.REJECTED
    assert result.report is not None
    if result:
        assert result.report.mode is Mode.TOLERANCE
        assert result.report.drift is not None
        assert result.report.drift.share is not None
        assert result.report.drift.share <= 0.1


OTHER_BUILD = f"""
import os, sys
sys.path[:0] = {[str(TESTS), str(SCRIPTS)]!r}
os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=SSE4_2"  # XLA reads it when it first compiles
del sys.argv[1:3]  # what is given to each process
import federation
federation.main()
"""


def test_an_honest_worker_under_another_build_of_xla_is_accepted(tmp_path: Path) -> None:
    """Its bits are others in every step; it opens its steps on its own machine."""
    with python_process(OTHER_BUILD, [str(tmp_path)], {}) as worker:
        assert worker.popen.wait(600) == 0, worker.describe_end()
    with np.load(tmp_path / "update.npz") as arrays:
        answer = Answer({"params": dict(arrays)}, tmp_path / "worker 0")
    result = judge_opening(answer, tmp_path, (tmp_path / "opening").read_bytes())
    assert result, result.reason
    assert result.report is not None
    assert {each.start for each in result.report.compared} == {0, 3, STEPS - 1}, "no bits are equal"


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (None, "leaf /params/b is missing"),
        ({"params": {"w": np.zeros((16, 3), np.float32)}}, "leaf /params/b is missing"),
        ({"params": {"w": np.zeros((16, 4), np.float32)}}, "is float32[16, 4], expected float32[16, 3]"),
        ({"params": {"w": np.zeros((16, 3))}}, "is float64[16, 3], expected float32[16, 3]"),
        ({"params": {"w": "rubbish"}}, "leaf /params/w: is str"),
        ({"params": {"w": [[1], [2, 3]]}}, "the state has none of this name"),
        ({"params": {"v": np.zeros(3)}}, "leaf /params/v: the state has none of this name"),
        ({"params": {"w": np.full((16, 3), np.nan, np.float32), "b": np.zeros(3, np.float32)}}, "/params/w has a NaN"),
    ],
)
def test_an_update_that_is_rubbish_is_one_line(answer: Answer, update: Any, words: str) -> None:
    refused_at_once(judge(replace(answer, update=update)), "update: ", words)


def test_an_update_that_is_nested_without_end_is_one_line(answer: Answer) -> None:
    update: dict[str, Any] = {}
    for _ in range(10**5):
        update = {"params": update}
    refused_at_once(judge(replace(answer, update=update)), "update: ")
    while update:  # Python itself may not take down what is so deep
        update = update.pop("params")


@pytest.mark.parametrize("name", ["run.json", "journal"])
def test_a_run_that_is_not_finished_is_one_line(name: str, answer_copy: Answer) -> None:
    """To a command it is a wrong call; a coordinator must not be ended by it."""
    (answer_copy.proof / "inventory.json").unlink()
    (answer_copy.proof / name).touch()
    refused_at_once(judge(answer_copy), "is a run that is not finished")


RUBBISH = {"missing": None, "empty": b"", "words": b"rubbish", "deep": b"[" * 2**15, "large": b"0" * 2**20}


@pytest.mark.parametrize("name", ["claim.json", "commitment.json"])
@pytest.mark.parametrize(
    "content", [None, b"", b"rubbish", b"[" * 2**15, b"0" * 2**20], ids=["missing", "empty", "words", "deep", "large"]
)
def test_documents_that_are_rubbish_are_one_line(name: str, content: bytes | None, answer_copy: Answer) -> None:
    (answer_copy.proof / name).unlink()
    if content is not None:
        (answer_copy.proof / name).write_bytes(content)
    refused_at_once(judge(answer_copy), f"{name}: ")


SEGMENT = segment_file(0)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("name", "words"),
    [("records", "more than the limit"), (SEGMENT, "more than the limit"), ("gigabytes", "no file")],
)
def test_gigabytes_are_refused_by_their_size(name: str, words: str, answer_copy: Answer) -> None:
    """Nothing is read of them: the file is sparse."""
    assert name == "gigabytes" or (answer_copy.proof / name).exists()
    with (answer_copy.proof / name).open("ab") as file:
        file.truncate(2**40)
    refused(judge(answer_copy), 1, name, words)


@pytest.mark.usefixtures("in_process")
def test_files_that_go_after_they_were_checked_raise_nothing(
    answer: Answer, answer_copy: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the worker's, and the coordinator's round goes on."""
    (tmp_path / "opening").write_bytes(b"any")
    for kind, handed_in in (("proof", answer_copy.proof), ("opening", (answer.proof, tmp_path / "opening"))):
        verify = getattr(module, f"verify_{kind}_apart")

        def verify_what_is_left(*arguments: Any, verify: Any = verify, **options: Any) -> Any:
            shutil.rmtree(answer_copy.proof, ignore_errors=True)
            (tmp_path / "opening").unlink()
            return verify(*arguments, **options)

        monkeypatch.setattr(module, f"verify_{kind}_apart", verify_what_is_left)
        options: dict[str, Any] = {} if kind == "proof" else {"nonce": b"of these tests!!"}
        result = verify_update(model(1), answer.update, handed_in, assignment(0), trusted=TRUSTED, **options)
        refused_at_once(result, "is missing")
        (tmp_path / "opening").write_bytes(b"any")


@pytest.mark.usefixtures("in_process")
def test_an_opening_of_gigabytes_is_refused_by_its_size(answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", 2**40)
    evidence = answer.proof, tmp_path / "large"
    result = verify_update(model(1), answer.update, evidence, assignment(0), trusted=TRUSTED, nonce=bytes(16))
    refused(result, 1, "has more than")


def test_a_pipe_that_trickles_is_no_file(answer_copy: Answer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    evidence = answer_copy.proof, tmp_path / "pipe"
    result = verify_update(model(1), answer_copy.update, evidence, assignment(0), trusted=TRUSTED, nonce=bytes(16))
    refused_at_once(result, "opening: is missing")
    (answer_copy.proof / "claim.json").unlink()
    os.mkfifo(answer_copy.proof / "claim.json")
    refused_at_once(judge(answer_copy), "claim.json: ", "plain file")


def test_a_claim_that_was_seen_is_refused(answer: Answer) -> None:
    claim = open_proof(answer.proof).claim
    assert claim is not None
    refused_at_once(judge(answer, seen={claim.digest().hex()}), "claim: was handed in before")


def test_another_key_than_the_enrolled_one_is_refused(answer: Answer) -> None:
    asked = replace(assignment(0), prover=public_text(OTHER))
    result = verify_update(model(1), answer.update, answer.proof, asked, trusted=TRUSTED, source=task(0).source)
    refused_at_once(result, "it is in the name of another key than that of this worker")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Assignment, Answer]:
    """Of a worker who signs, as was asked."""
    asked, folder = replace(assignment(0), prover=public_text(KEY)), tmp_path_factory.mktemp("signed")
    proof, update = train_update(task(0), model(1), asked, folder / "proof", key=KEY)
    return asked, Answer(update, proof.root)


def judge_signed(signed: tuple[Assignment, Answer], folder: Path, envelope: bytes | None) -> UpdateResult:
    """Verify with another signature of the claim, or with none."""
    asked, answer = signed
    proof = Path(shutil.copytree(answer.proof, folder / "copy"))
    place = attestations.attestation_path(proof, attestations.CLAIM)
    place.unlink()
    if envelope is not None:
        place.write_bytes(envelope)
    return verify_update(model(1), answer.update, proof, asked, trusted=TRUSTED, source=task(0).source)


@pytest.mark.usefixtures("in_process")
def test_a_claim_that_its_worker_has_signed_is_accepted(signed: tuple[Assignment, Answer], tmp_path: Path) -> None:
    envelope = attestations.attestation_path(signed[1].proof, attestations.CLAIM).read_bytes()
    result = judge_signed(signed, tmp_path, envelope)
    assert result, result.reason
    assert result.report is not None
    assert result.report.authorship is not None
    assert result.report.authorship.signer == public_text(KEY)


@pytest.mark.parametrize("which", ["none", "rubbish", "deep", "large", "another claim", "another key"])
def test_a_claim_that_its_worker_has_not_signed_is_refused_at_once(
    which: str, signed: tuple[Assignment, Answer], answer: Answer, tmp_path: Path
) -> None:
    proof, other = open_proof(signed[1].proof), open_proof(answer.proof)
    statement = json.loads(base64.b64decode(json.loads(sign_claim(proof, KEY))["payload"]))
    envelopes = {
        "none": None,
        "rubbish": b"rubbish",
        "deep": b"[" * 2**15,
        "large": b"0" * 2**22,
        "another claim": sign_claim(other, KEY),
        "another key": envelope.sign(canonical_bytes(statement), OTHER),
    }
    words = {
        "none": "is missing: the claim must be signed by ed25519:",
        "large": "has more than",
        "another claim": "signs another claim than the one at hand",
        "another key": "expected the signer ed25519:",
    }
    refused_at_once(
        judge_signed(signed, tmp_path, envelopes[which]), "attestations/claim.dsse.json: ", words.get(which, "")
    )


@pytest.mark.usefixtures("in_process")
def test_exact_arithmetic_can_be_assigned(answer: Answer, tmp_path: Path) -> None:
    asked = replace(assignment(0), arithmetic="exact", steps=2)
    proof, update = train_update(task(0), model(1), asked, tmp_path / "proof")
    assert proof.commitment.arithmetic is not None
    given: dict[str, Any] = {"trusted": TRUSTED, "source": task(0).source, "policy": ListedSegments((0,))}
    assert verify_update(model(1), update, proof.root, asked, **given)
    inexact = verify_update(model(1), answer.update, answer.proof, replace(asked, steps=STEPS), **given)
    refused_at_once(inexact, "it was not assigned: arithmetic is None, expected")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arithmetic": "exact/1"}, "it was not assigned: arithmetic"),
        ({"beacon": "tried until it suits"}, "it names a beacon"),
        ({"task": Description("tried until it suits", {})}, "it describes another task"),
    ],
)
def test_no_field_of_a_commitment_is_the_worker_s_choice(
    change: dict[str, Any], words: str, answer_copy: Answer
) -> None:
    """Each enters the seed of keys and order, so that one could be tried until it suits."""
    proof = open_proof(answer_copy.proof)
    assert proof.claim is not None
    commitment = msgspec.structs.replace(proof.commitment, **change)
    claim = msgspec.structs.replace(proof.claim, commitment=commitment.digest().hex())
    for name, document in (("commitment", commitment), ("claim", claim)):
        (answer_copy.proof / f"{name}.json").write_bytes(document.encode())
    refused_at_once(judge(answer_copy), words)


def test_time_in_all_is_bounded(answer: Answer) -> None:
    result = judge(answer, bounds=Bounds(total_seconds=0.01))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "took more than the 0.01 s" in result.reason


@pytest.mark.usefixtures("in_process")
def test_other_records_at_the_coordinator_reject_nobody(answer: Answer) -> None:
    result = judge(answer, source=task(1).source)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "cannot judge with these records" in result.reason


# --- the call itself ---------------------------------------------------------------------------------------------


def test_a_wrong_call_is_an_error_whatever_the_worker_sent(answer: Answer, tmp_path: Path) -> None:
    evidence = tmp_path, tmp_path / "nothing"
    for proof, asked, words in (
        (answer.proof, {"policy": STEPS_ASKED}, "is about steps, and this is a proof"),
        (evidence, {"policy": AllSegments(), "nonce": b"x"}, "is about segments, and this is an opening"),
        (evidence, {"policy": STEPS_ASKED}, "give the nonce of that challenge"),
    ):
        with pytest.raises(UsageError, match=words):
            verify_update(model(1), answer.update, proof, assignment(0), trusted=TRUSTED, **asked)


@pytest.mark.usefixtures("in_process")
def test_salted_records_are_verified_with_the_secret(tmp_path: Path) -> None:
    secret = bytes(range(32))
    asked: Assignment = replace(assignment(0), data=register(task(0).source, secret))
    proof, update = train_update(task(0), model(1), asked, tmp_path / "proof", secret=secret)
    trusted: dict[str, Any] = {"trusted": TRUSTED, "source": task(0).source, "policy": ListedSegments((0,))}
    assert verify_update(model(1), update, proof.root, asked, secret=secret, **trusted)
    assert verify_update(model(1), update, proof.root, asked, **trusted).verdict is not Verdict.REJECTED
