"""Attacks on a proof, each consistent with all checks that come before the one that must refuse it."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, claim_of, edit_document, refused, take_stock, undecided

from pol_jax.errors import TaskError, UsageError
from pol_jax.judging.coverage import covered
from pol_jax.judging.replayed import Replayed
from pol_jax.judging.verdict import Evidence, judge
from pol_jax.program.artifact import INIT_FILE, PLATFORMS, STEP_FILE
from pol_jax.program.machine import current_environment
from pol_jax.protocol.challenge import ListedSegments, RandomSegments, draw
from pol_jax.protocol.spans import Piece, Segments
from pol_jax.proving.commit import Choices
from pol_jax.proving.recording import train
from pol_jax.reports.report import Outcome, Report, Verdict
from pol_jax.storage.checkpoints import checkpoint_name
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import Proof
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.records import Arrays
from pol_jax.verifying import proof_verifier as verifier
from pol_jax.verifying import replay

Verify = Callable[..., Report]

ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.fixture(scope="session")
def sparse_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof with the digest of the state in every fourth row only, and at checkpoints."""
    path = tmp_path_factory.mktemp("sparse") / "proof"
    train(tiny.plain(), path, steps=9, choices=Choices(interval=6, witness_interval=4))
    return path


@pytest.fixture
def forger(proof_copy: Path) -> Forger:
    return Forger(proof_copy)


def test_the_honest_proof_is_accepted(plain_proof: Path, verify_plain: Verify) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert report.verdict is Verdict.ACCEPTED
    assert {stage.outcome for stage in report.stages} == {Outcome.PASSED}
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.detection) == ((0, 1, 2, 3), 1.0)


def test_what_the_forger_leaves_alone_is_accepted(forger: Forger, verify_plain: Verify) -> None:
    before = forger.claim.digest()
    forger.write()
    assert claim_of(forger.root).digest() == before
    assert verify_plain(forger.root)


# --- stage 3: commitment -----------------------------------------------------------------------------------------


def test_claim_of_another_commitment(forger: Forger, verify_plain: Verify) -> None:
    forger.write(commitment="0" * 64)
    refused(verify_plain(forger.root), 3, "commitment.json", "not the commitment that the claim names")


def test_commitment_changed_under_its_claim(proof_copy: Path, verify_plain: Verify) -> None:
    edit_document(proof_copy, "commitment.json", lambda plain: plain.update(nonce="mine"))
    refused(verify_plain(proof_copy), 3, "commitment.json", "not the commitment that the claim names")


def other_step() -> bytes:
    """A step program with the same signature: the learning rate is another."""
    task = tiny.plain()
    step = task.step

    def slow(state, batch, key):
        new, metrics = step(state, batch, key)
        return new | {"params": jax.tree.map(lambda a, b: (a + b) / 2, state["params"], new["params"])}, metrics

    task = tiny.Task("other", task.init, slow, task.source, task.batch_size, task.steps)
    return export_task(task, signature_of(task, "threefry2x32")).step


def test_program_swapped(proof_copy: Path, verify_plain: Verify) -> None:
    (proof_copy / STEP_FILE).write_bytes(other_step())
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, STEP_FILE, "not the committed program")


def test_program_swapped_and_committed_to(forger: Forger, verify_plain: Verify) -> None:
    forger.commit_to_step_program(other_step())
    forger.write_documents()
    refused(verify_plain(forger.root), 5, "row 0", "key")


def test_programs_exchanged(proof_copy: Path, verify_plain: Verify) -> None:
    init, step = ((proof_copy / name).read_bytes() for name in (INIT_FILE, STEP_FILE))
    (proof_copy / INIT_FILE).write_bytes(step)
    (proof_copy / STEP_FILE).write_bytes(init)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, INIT_FILE, "not the committed program")


@pytest.mark.parametrize("wound", ["digest", "shorter", "longer"])
def test_other_records(proof_copy: Path, verify_plain: Verify, wound: str) -> None:
    path = proof_copy / "records"
    content = path.read_bytes()
    path.write_bytes({"digest": ODD + content[32:], "shorter": content[:-1], "longer": content + ODD}[wound])
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 3, "records", "Merkle root" if wound == "digest" else "bytes, expected 1280")


def exported(function: Callable, *args: object, platforms: tuple[str, ...] = PLATFORMS, allow: str = "") -> bytes:
    checks = [jax.export.DisabledSafetyCheck.custom_call(allow)] if allow else []
    return bytes(jax.export.export(jax.jit(function), platforms=platforms, disabled_checks=checks)(*args).serialize())


def test_program_with_a_foreign_call(forger: Forger, verify_plain: Verify) -> None:
    """A custom call runs code of the verifier's process by name: none is let through."""
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")

    def step(leaves, batch, key):
        loss = jax.ffi.ffi_call("jump_anywhere", jax.ShapeDtypeStruct((), jnp.float32))(batch[1])
        return leaves, tuple(loss for _ in signature.metrics)

    artifact = exported(step, signature.leaves(), signature.batch(), signature.key(), allow="jump_anywhere")
    forger.commit_to_step_program(artifact)
    forger.write_documents()
    refused(verify_plain(forger.root), 3, STEP_FILE, "calls jump_anywhere")


@pytest.mark.parametrize("wound", ["platforms", "arguments", "results", "metrics", "leaves", "dtypes", "empty"])
def test_program_of_another_signature(forger: Forger, verify_plain: Verify, wound: str) -> None:
    """Hostile programs that load, and must be refused before they are called."""
    task = tiny.plain()
    signature = signature_of(task, "threefry2x32")
    leaves, batch, key = signature.leaves(), signature.batch(), signature.key()
    metrics = tuple(jnp.float32(0) for _ in signature.metrics)
    artifact = {
        "platforms": lambda: exported(lambda s, b, k: (s, metrics), leaves, batch, key, platforms=("tpu",)),
        "arguments": lambda: exported(lambda s, b, k: (tuple(s), metrics), list(leaves), batch, key),
        "results": lambda: exported(lambda s, b, k: [s, metrics], leaves, batch, key),
        "metrics": lambda: exported(lambda s, b, k: (s, metrics[1:]), leaves, batch, key),
        "leaves": lambda: exported(lambda s, b, k: (s[1:], (s[0], *metrics)), leaves, batch, key),
        "dtypes": lambda: exported(lambda s, b, k: (s, (jnp.int32(0), *metrics[1:])), leaves, batch, key),
        "empty": lambda: b"",
    }[wound]()
    forger.commit_to_step_program(artifact)
    forger.write_documents()
    words = {"platforms": "is not for one device of", "arguments": "takes other", "empty": "not an exported program"}
    refused(verify_plain(forger.root), 3, STEP_FILE, words.get(wound, "returns other"))


@pytest.mark.parametrize(
    ("field", "value", "stage"),
    [
        ("state[0].shape", [1], 3),
        ("state[0].dtype", "uint32", 3),
        ("state[0].path", "/counter", 5),
        ("program.metrics", ["a", "loss", "norm"], 3),
        ("data.records", 41, 3),
        ("data.root", "0" * 64, 3),
        ("data.salted", True, 5),
        ("schedule.batch_size", 5, 3),
        ("schedule.interval", 8, 4),
        ("schedule.witness_interval", 2, 4),
        ("schedule.prng", "rbg", 3),
        ("nonce", "mine", 5),
        ("beacon", "a later one", 5),
        ("prover", "ed25519:" + "0" * 64, 5),
        ("task.name", "stolen", 5),
    ],
)
def test_another_commitment_claimed(
    forger: Forger, verify_plain: Verify, field: str, value: object, stage: int
) -> None:
    """A stolen run can't be re-signed or re-told: all of the commitment is in the keys."""

    def change(plain: dict) -> None:
        *path, last = field.replace("[0]", ".0").split(".")
        for name in path:
            plain = plain[int(name) if name.isdigit() else name]
        plain["pieces"] = [1] * len(value) if last == "shape" else plain.get("pieces")
        if plain["pieces"] is None:
            del plain["pieces"]
        plain[last] = value

    forger.commit_to(change)
    forger.write_documents()
    refused(verify_plain(forger.root), stage)


# --- stage 4: ledger ---------------------------------------------------------------------------------------------


def test_row_dropped(forger: Forger, verify_plain: Verify) -> None:
    del forger.rows[-1]
    forger.write(steps=24)
    refused(verify_plain(forger.root), 4, segment_file(3), "5 rows, expected 6")


def test_row_added(forger: Forger, verify_plain: Verify) -> None:
    forger.rows.append(forger.rows[-1])
    forger.change(25, step=25)
    forger.write(steps=24)
    refused(verify_plain(forger.root), 4, segment_file(4), "none of the 4 segments")


def test_row_renumbered(forger: Forger, verify_plain: Verify) -> None:
    forger.change(9, step=10)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(1), "other steps than 7 to 12")


def test_row_changed_under_its_root(forger: Forger, verify_plain: Verify) -> None:
    root = forger.claim.ledger_root
    forger.change(9, loss=b"\0\0\0\0")
    forger.write(ledger_root=root)
    refused(verify_plain(forger.root), 4, "ledger", "Merkle root is not the claimed one")


def test_shortened_claim(forger: Forger, verify_plain: Verify) -> None:
    forger.write(steps=18)
    refused(verify_plain(forger.root), 4, segment_file(3), "none of the 3 segments of 18 steps")


def test_shortened_run_with_the_last_state(forger: Forger, verify_plain: Verify) -> None:
    last = forger.claim.final_state
    del forger.rows[19:], forger.states[24]
    shutil.rmtree(forger.root / checkpoint_name(24))
    forger.write(final_state=last)
    refused(verify_plain(forger.root), 4, "claim.json", "final_state", "row 18")


def test_longer_claim(forger: Forger, verify_plain: Verify) -> None:
    forger.write(steps=2**26)
    refused(verify_plain(forger.root), 4, segment_file(3 + 1), "can't be read")


@pytest.mark.parametrize(
    ("step", "fields", "problem"),
    [
        (9, {"state": None}, "row 9: state_digest is missing"),
        (12, {"state": None}, "row 12: state_digest is missing"),
        (24, {"state": None}, "row 24: state_digest is missing"),
        (9, {"loss": None}, "row 9: loss is missing"),
        (0, {"loss": b"\0\0\0\0"}, "row 0: loss is too many"),
    ],
)
def test_row_without_what_it_must_have(
    forger: Forger, verify_plain: Verify, step: int, fields: dict, problem: str
) -> None:
    forger.change(step, **fields)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(max(0, (step - 1) // 6)), problem)


def test_state_digest_where_the_schedule_has_none(sparse_proof: Path, tmp_path: Path, verify_plain: Verify) -> None:
    forger = Forger(Path(shutil.copytree(sparse_proof, tmp_path / "proof")))
    assert [row.step for row in forger.rows if row.state] == [0, 4, 6, 8, 9]
    assert verify_plain(forger.root)
    forger.change(5, state=ODD)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(0), "row 5: state_digest is too many")


# --- stage 5: keys and order -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 9, 24])
def test_chosen_key(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, key=bytes(8))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(max(0, (step - 1) // 6)), f"row {step}: key")


@pytest.mark.parametrize("choice", ["swapped", "repeated", "fewer", "none"])
def test_chosen_batch(forger: Forger, verify_plain: Verify, choice: str) -> None:
    """Forging by chosen batches (Thudi et al., 2022): other committed records, with the digest that they have."""
    old = forger.rows[9].indices
    new = {"swapped": old[[1, 0, 2, 3]], "repeated": old[[0, 0, 2, 3]], "fewer": old[:3], "none": old[:0]}[choice]
    forger.change(9, indices=new, batch=forger.batch_of(new))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(1), "row 9: indices")


def test_batch_in_row_0(forger: Forger, verify_plain: Verify) -> None:
    indices = np.array([0], np.uint64)
    forger.change(0, indices=indices, batch=forger.batch_of(indices))
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(0), "row 0: indices")


@pytest.mark.parametrize("step", [0, 9])
def test_batch_of_other_records(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, batch=ODD)
    forger.write()
    refused(verify_plain(forger.root), 5, segment_file(step // 6), f"row {step}: batch_digest")


# --- stage 6: state digests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 12, 24])
def test_checkpoint_of_another_state(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.states[step] = forger.perturbed(step)
    forger.write()
    refused(verify_plain(forger.root), 6, checkpoint_name(step), f"not the one in row {step}")


def test_checkpoints_exchanged(proof_copy: Path, verify_plain: Verify) -> None:
    a, b, spare = (proof_copy / checkpoint_name(step) for step in (6, 12, 99))
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    refused(verify_plain(proof_copy), 2)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 6, checkpoint_name(6), "not the one in row 6")


def test_segments_exchanged(proof_copy: Path, verify_plain: Verify) -> None:
    a, b = (proof_copy / segment_file(segment) for segment in (1, 2))
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)
    refused(verify_plain(proof_copy), 2)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 4, segment_file(1), "other steps than 7 to 12")


# --- stages 7 to 9: replay ---------------------------------------------------------------------------------------


def test_trained_weights_as_initial_state(forger: Forger, verify_plain: Verify) -> None:
    """Everything is true but for the beginning: training went on from a model that was there before."""
    forger.train_on(tiny.plain().source, 0, 24, forger.states[24])
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 7, "init program gives another one")
    assert report.stages[8].outcome is Outcome.PASSED


@pytest.mark.parametrize("segment", [0, 1, 3])
def test_forged_end_of_a_segment(forger: Forger, verify_plain: Verify, segment: int) -> None:
    """The state at the end of one segment is another; what follows was truly trained from it."""
    stop = 6 * segment + 6
    forger.train_on(tiny.plain().source, stop, 24, forger.perturbed(stop))
    forger.write()
    refused(verify_plain(forger.root), 9, f"steps {stop - 5} to {stop}: step {stop}", "state_digest")


def test_forged_final_state_is_met_when_its_segment_is_drawn(forger: Forger, verify_plain: Verify) -> None:
    forger.set_state(24, forger.perturbed(24))
    forger.write()
    policy = RandomSegments(confidence=0.6, fraction=0.25)  # 3 of 4
    nonces = [bytes([at]) * 16 for at in range(20)]
    draws = {nonce: draw(policy, 4, claim_of(forger.root).digest(), nonce) for nonce in nonces}
    met = next(nonce for nonce in nonces if 3 in draws[nonce])
    missed = next(nonce for nonce in nonces if 3 not in draws[nonce])
    report = verify_plain(forger.root, policy=policy, nonce=met)
    refused(report, 9, "steps 19 to 24: step 24", "state_digest")
    assert report.coverage is not None
    assert list(report.coverage.replayed) == draws[met]
    report = verify_plain(forger.root, policy=policy, nonce=missed)
    assert report.coverage is not None
    assert (report.verdict, report.coverage.detection) == (Verdict.ACCEPTED, 0.75)


def test_forged_digest_between_checkpoints(forger: Forger, verify_plain: Verify) -> None:
    forger.change(9, state=ODD)
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 7 to 12: the replay of step 9 differs from the ledger (state_digest)")


def test_forged_loss(forger: Forger, verify_plain: Verify) -> None:
    forger.change(20, loss=b"\0\0\0\0")
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 19 to 24: the replay of step 20 differs from the ledger (loss)")


def test_forged_first_steps_only(forger: Forger, verify_plain: Verify) -> None:
    """The self-test can't be abused to call every difference the backend's: other segments reproduce here."""
    forger.change(3, state=ODD)
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 9, "self-test of steps 1 to 6: step 3")
    report = verify_plain(forger.root, policy=ListedSegments((2,)))
    refused(report, 9, "self-test of steps 1 to 6: step 3")


def interpolated(forger: Forger, first: int) -> None:
    """States on a line between the state after ``first`` and the last one, with a digest for every step."""
    start, end = forger.states[first], forger.states[24]
    for step in range(first + 1, 24):
        share = (step - first) / (24 - first)
        line = [
            (1 - share) * a.astype(np.float32) + share * b.astype(np.float32) for a, b in zip(start, end, strict=True)
        ]
        leaves = [np.asarray(new, old.dtype) for new, old in zip(line, end, strict=True)]
        if step in forger.states:
            forger.set_state(step, leaves)
        else:
            forger.change(step, state=forger.layout.gather(leaves).digest())


def test_interpolated_states(forger: Forger, verify_plain: Verify) -> None:
    interpolated(forger, 6)
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 7 to 12: step 7")


def test_everything_interpolated_is_rejected_by_tolerance(forger: Forger, verify_plain: Verify) -> None:
    interpolated(forger, 0)
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 9, "steps 1 to 6 are not what this machine gives")
    assert any("neither the self-test nor any" in reason for reason in report.reasons)


def test_everything_forged_is_rejected_by_tolerance(forger: Forger, verify_plain: Verify) -> None:
    for row in forger.rows[1:]:
        forger.change(row.step, state=ODD, loss=b"\0\0\0\0")
    for step in forger.states:
        forger.set_state(step, forger.perturbed(step))
    forger.write()
    report = verify_plain(forger.root)
    assert report.verdict is Verdict.REJECTED
    assert [stage.outcome for stage in report.stages[6:]] == [Outcome.FAILED, Outcome.PASSED, Outcome.FAILED]
    assert "the initial state is not what this machine gives" in report.reasons[0]
    assert any("neither the self-test nor any" in reason for reason in report.reasons)


# --- what the verifier brings ------------------------------------------------------------------------------------


def test_other_records_than_the_committed(plain_proof: Path, verify_plain: Verify) -> None:
    points = tiny.points()
    points["x"][7, 3] += 1
    undecided(verify_plain(plain_proof, source=Arrays(points)), "cannot judge with these records", "record 7 ")


@pytest.mark.parametrize("wound", ["fewer", "more", "shape", "dtype", "leaves"])
def test_records_of_another_kind(plain_proof: Path, verify_plain: Verify, wound: str) -> None:
    points = tiny.points()
    x, label = points["x"], points["label"]
    source = {
        "fewer": lambda: tiny.points(20),
        "more": lambda: tiny.points(41),
        "shape": lambda: {"label": label, "x": x[:, :-1]},
        "dtype": lambda: {"label": label, "x": x.astype(np.float16)},
        "leaves": lambda: {"x": x},
    }[wound]()
    undecided(verify_plain(plain_proof, source=Arrays(source)), "cannot judge with these records")


@pytest.mark.parametrize("function", ["init", "step"])
def test_a_program_that_cannot_run_here(
    plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def broken(*_: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    load = Proof.program
    monkeypatch.setattr(Proof, "program", lambda self: dataclasses.replace(load(self), **{function: broken}))
    undecided(verify_plain(plain_proof), "cannot judge here", "RESOURCE_EXHAUSTED")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's machine is another than the prover's."""
    environment = msgspec.structs.replace(current_environment(), device_kind="abacus")
    monkeypatch.setattr(verifier, "current_environment", lambda: environment)


@pytest.mark.usefixtures("elsewhere")
def test_same_bits_elsewhere_are_accepted(plain_proof: Path, verify_plain: Verify) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert report.environment.device_kind == "abacus"


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("step", [3, 9])
def test_other_bits_elsewhere_are_inconclusive(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, state=ODD)
    forger.write()
    report = verify_plain(forger.root)
    undecided(report, "not the prover's backend", "device_kind", "abacus")
    undecided(report, f"comes out bit for bit, but not the one after step {step}")
    assert any(f"step {step} differs from the ledger" in reason for reason in report.reasons)


def test_claimed_environment_elsewhere(proof_copy: Path, verify_plain: Verify) -> None:
    """A prover who claims another machine gains no acceptance, only an inconclusive verdict."""
    forger = Forger(proof_copy)
    forger.change(9, state=ODD)
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, jaxlib="0.0.1"))
    undecided(verify_plain(proof_copy), "not the prover's backend", "jaxlib: 0.0.1 against")


def unsteady(count: Iterator[int]) -> type[Exception]:
    """A mismatch that comes out otherwise each time."""

    class Mismatch(replay._Mismatch):
        def __init__(self, replayed: Replayed) -> None:
            super().__init__(dataclasses.replace(replayed, got=bytes([next(count)])))

    return Mismatch


def test_a_backend_that_does_not_repeat_itself(
    forger: Forger, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger.change(9, state=ODD)
    forger.write()
    count = itertools.count()
    monkeypatch.setattr("pol_jax.verifying.replay._Mismatch", unsteady(count))
    undecided(verify_plain(forger.root), "gives other bits when it repeats a step")


def test_a_policy_that_checks_nothing_is_no_policy(plain_proof: Path, verify_plain: Verify) -> None:
    for policy in (ListedSegments(()), ListedSegments((4,)), ListedSegments((-1,))):
        with pytest.raises(UsageError, match="segment"):
            verify_plain(plain_proof, policy=policy)


# --- the verdict, as a table -------------------------------------------------------------------------------------

GOOD, BAD = Replayed(0, 6), Replayed(0, 6, 3, ("loss",), b"other")


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("segments", [(), (GOOD,), (BAD,), (GOOD, BAD), (BAD, GOOD), (GOOD, GOOD), (BAD, BAD)])
@pytest.mark.parametrize("self_test", [GOOD, BAD])
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("changed", [(), ("jax: 1 against 2",)])
def test_verdicts(
    changed: tuple[str, ...], initial: bool, self_test: Replayed, segments: tuple[Replayed, ...], repeatable: bool
) -> None:
    """Accepted: all is exact, and it is something. Rejected: something differs, and this is the prover's backend."""
    judgement = judge(Evidence(changed, initial, self_test, segments, repeatable))
    all_exact = initial and all(part is GOOD for part in (self_test, *segments)) and bool(segments)
    differs = not initial or BAD in (self_test, *segments)
    shown_to_reproduce = differs and not changed and repeatable and GOOD in (self_test, *segments)
    expected = Verdict.ACCEPTED if all_exact else Verdict.REJECTED if shown_to_reproduce else Verdict.INCONCLUSIVE
    assert judgement.verdict is expected
    assert judgement.reasons
    assert (judgement.initial is Outcome.PASSED) == initial
    assert (Outcome.FAILED in (judgement.initial, judgement.replay)) == (expected is Verdict.REJECTED)


# --- what the prover's own exporter refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("callback", "step can't be exported"),
        ("foreign call", "jump_anywhere"),
        ("print", "step can't be exported"),
        ("library", "lapack_.*; a verifier would refuse it"),  # jax.export lets LAPACK through; the list does not
    ],
)
def test_the_exporter_refuses_what_a_verifier_would_not_run(what: str, problem: str) -> None:
    task = tiny.plain()

    def step(state, batch, key):
        if what == "print":
            jax.debug.print("{}", batch["x"].sum())
        new, metrics = task.step(state, batch, key)
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        if what == "callback":
            return new, metrics | {"extra": jax.pure_callback(lambda x: np.float32(x), shape, metrics["loss"])}
        if what == "foreign call":
            return new, metrics | {"extra": jax.ffi.ffi_call("jump_anywhere", shape)(metrics["loss"])}
        if what == "library":
            return new, metrics | {"extra": jnp.linalg.eigvalsh(batch["x"].T @ batch["x"])[0]}
        return new, metrics

    bad = tiny.Task("bad", task.init, step, task.source, task.batch_size, 1)
    with pytest.raises(TaskError, match=problem):
        export_task(bad, signature_of(bad, "threefry2x32"))


def test_coverage_is_of_what_was_replayed():
    """A draw that was not replayed, or not to its end, covers nothing of the rest."""
    segments, random = Segments(14, 6), RandomSegments()
    pieces = [Piece(0, 6, (0,)), Piece(6, 12, (1,)), Piece(12, 14, (2,))]
    none = covered(random, pieces, [], segments)
    assert (none.replayed, none.steps_replayed, none.detection) == ((), 0, 0.0)
    part = covered(random, pieces, [Replayed(0, 6), Replayed(6, 12, 9)], segments)
    assert (part.replayed, part.steps_replayed) == ((0, 1), 9)
    assert 0 < part.detection < 1
    assert covered(ListedSegments((0, 1)), pieces[:2], [Replayed(0, 6), Replayed(6, 12)], segments).detection == 0
    whole = [Replayed(0, 6), Replayed(6, 12), Replayed(12, 14)]
    assert covered(random, pieces, whole, segments).detection == 1


def test_coverage_of_segments_on_the_way():
    """They count as steps; what was challenged and not reached counts as nothing."""
    segments, random, piece = Segments(14, 6), RandomSegments(), Piece(0, 14, (1, 2))
    whole = covered(random, [piece], [Replayed(0, 14)], segments)
    assert (whole.replayed, whole.steps_replayed) == ((1, 2), 14)
    assert 0 < whole.detection < 1
    for mismatch, reached in ((6, ()), (7, (1,)), (12, (1,)), (13, (1, 2))):
        part = covered(random, [piece], [Replayed(0, 14, mismatch)], segments)
        assert (part.replayed, part.steps_replayed) == (reached, mismatch)
        assert (part.detection > 0) == bool(reached)
