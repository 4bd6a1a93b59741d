"""Openings: made by the prover for challenged steps, checked with the claim alone; and attacks on each part."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import msgspec
import numpy as np
import pytest
import second_implementation as second
import tiny
from forge import Forger, refused
from msgspec.structs import replace

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import ListedSteps, RandomSteps, draw_steps
from pol_jax.protocol.commitment import Schedule
from pol_jax.protocol.encoding import record_salt
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import OpenedState, Opening, parse_opening
from pol_jax.protocol.spans import Span, spans
from pol_jax.proving import opener
from pol_jax.proving.commit import Choices
from pol_jax.proving.opener import open_steps
from pol_jax.proving.recording import train
from pol_jax.reports.report import Outcome, Report, Verdict
from pol_jax.sandbox import verify as isolation
from pol_jax.storage.openings import read_opening, write_opening
from pol_jax.storage.proof import open_proof
from pol_jax.training.records import Arrays
from pol_jax.verifying import opening_verifier

STEPS = (1, 8, 24)
SOURCE = tiny.plain().source
SECRET = b"s" * 32


@pytest.fixture(scope="session")
def opening(plain_proof: Path) -> Opening:
    return open_steps(open_proof(plain_proof), SOURCE, STEPS)


@pytest.fixture
def check(plain_proof: Path, tmp_path: Path) -> Callable[..., Report]:
    """Verify an opening against the claim of `plain_proof`, alone in a directory."""

    def verify(opening: Opening, steps: tuple[int, ...] = STEPS, claim: Path | None = None) -> Report:
        write_opening(tmp_path / "opening", opening)
        shutil.copyfile((claim or plain_proof) / "claim.json", tmp_path / "a claim")
        return opening_verifier.verify_opening(tmp_path / "a claim", tmp_path / "opening", ListedSteps(steps), b"")

    return verify


def test_honest_opening_is_accepted_with_the_claim_alone(opening: Opening, check: Callable[..., Report]) -> None:
    report = check(opening)
    assert report, report.reasons
    assert {stage.outcome for stage in report.stages} == {Outcome.PASSED}
    assert report.coverage is not None
    assert (report.coverage.unit, report.coverage.replayed, report.coverage.detection) == ("step", STEPS, 0.0)
    assert [state.step for state in opening.states] == [0, 1, 7, 8, 23, 24]


def test_part_of_an_opening_may_be_asked_for(opening: Opening, check: Callable[..., Report]) -> None:
    report = check(opening, (8,))
    assert report
    assert report.coverage is not None
    assert report.coverage.replayed == (8,)


def test_verified_in_a_process_of_its_own(opening: Opening, plain_proof: Path, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    report = isolation.verify_opening(plain_proof, tmp_path / "opening", ListedSteps(STEPS))
    assert report, report.reasons


@pytest.mark.parametrize("witness_interval", [4, 6])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_sparse_witnesses_and_private_records(
    witness_interval: int, secret: bytes | None, tmp_path: Path, check: Callable[..., Report]
) -> None:
    choices = Choices(interval=6, witness_interval=witness_interval, secret=secret)
    proof = train(tiny.plain(), tmp_path / "proof", steps=11, choices=choices)
    opening = open_steps(proof, SOURCE, (2, 11), secret=secret)
    assert {state.step for state in opening.states} == ({0, 4, 8, 11} if witness_interval == 4 else {0, 6, 11})
    assert check(opening, (2, 11), tmp_path / "proof")
    if secret is not None:
        assert opening.records[0].salt == record_salt(secret, opening.records[0].index)
        bare = replace(opening, records=tuple(replace(record, salt=None) for record in opening.records))
        refused(check(bare, (2, 11), tmp_path / "proof"), 5, "records[0]", "salt is missing")


@pytest.mark.parametrize("task", [tiny.linen, tiny.nested])
def test_any_state_and_records_can_be_opened(
    task: Callable[[], tiny.Task], tmp_path: Path, check: Callable[..., Report]
) -> None:
    proof = train(task(), tmp_path / "proof", steps=7, choices=Choices(interval=3))
    assert check(open_steps(proof, task().source, (1, 5)), (1, 5), tmp_path / "proof")


def test_every_step_is_executed_once(plain_proof: Path) -> None:
    """From a thinned proof too: one way from each checkpoint, to the last step that is asked for."""
    reached: list[tuple[str, int]] = []

    class Seen:
        def begin(self, what: str, total: int, done: int = 0) -> None:
            reached.append((what, total))

        def at(self, done: int, loss: float | None = None) -> None:
            reached.append(("at", done))

        def end(self) -> None:
            reached.append(("end", 0))

        def stage(self, number: int) -> None: ...

    open_steps(open_proof(plain_proof), SOURCE, (2, 5, 8), progress=Seen())
    assert reached == [("regenerating", 7), *(("at", done) for done in range(1, 8)), ("end", 0)]


# --- who can't open ----------------------------------------------------------------------------------------------


def test_machine_that_comes_out_otherwise_opens_nothing(proof_copy: Path, tmp_path: Path) -> None:
    forger = Forger(proof_copy)
    forger.change(8, loss=b"\0\0\0\0")
    forger.write()
    with pytest.raises(BackendError, match="step 8 differs from the ledger"):
        open_steps(open_proof(proof_copy), SOURCE, (9,))
    command = [sys.executable, "-m", "pol_jax.cli", "open", proof_copy, "--steps", "9", "--out", tmp_path / "o"]
    done = subprocess.run([*command, "--task", "tiny:plain"], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(("steps", "problem"), [((), "empty"), ((0,), "steps 1 to 24"), ((25,), "steps 1 to 24")])
def test_steps_that_are_not_there(plain_proof: Path, steps: tuple[int, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        open_steps(open_proof(plain_proof), SOURCE, steps)


def test_other_records_open_nothing(plain_proof: Path) -> None:
    with pytest.raises(DataError):
        open_steps(open_proof(plain_proof), Arrays(tiny.points(seed=2)), STEPS)


# --- attacks: each part, for its own reason, at its own stage ----------------------------------------------------


def changed(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def with_row(opening: Opening, at: int, **fields: Any) -> Opening:
    rows = list(opening.rows)
    rows[at] = replace(rows[at], **fields)
    return replace(opening, rows=tuple(rows))


def with_record(opening: Opening, at: int, **fields: Any) -> Opening:
    records = list(opening.records)
    records[at] = replace(records[at], **fields)
    return replace(opening, records=tuple(records))


def with_state(opening: Opening, at: int, leaves: tuple[bytes, ...]) -> Opening:
    states = list(opening.states)
    states[at] = replace(states[at], leaves=leaves)
    return replace(opening, states=tuple(states))


ATTACKS: dict[str, tuple[Callable[[Opening], Opening], int, str]] = {
    "another claim": (lambda o: replace(o, claim=bytes(32)), 2, "another claim"),
    "another commitment": (
        lambda o: replace(o, commitment=o.commitment.replace(b'"nonce":"tests"', b'"nonce":"tests!"')),
        3,
        "not the one that the claim names",
    ),
    "no commitment": (lambda o: replace(o, commitment=b"{}"), 3, "commitment.json"),
    "another program": (lambda o: replace(o, step=o.init), 3, "not the committed program"),
    "another init": (lambda o: replace(o, init=changed(o.init)), 3, "not the committed program"),
    "no row": (lambda o: with_row(o, 0, row=b"row"), 4, "rows[0]: is no row"),
    "a changed row": (lambda o: with_row(o, 1, row=o.rows[1].row[:-1] + b"\x7f"), 4, "not under the root"),
    "a row in the place of another": (lambda o: with_row(o, 1, row=o.rows[2].row), 4, "rows[1]"),
    "a row twice": (lambda o: replace(o, rows=(o.rows[0], *o.rows)), 4, "not after the one before"),
    "a longer path": (lambda o: with_row(o, 0, path=(*o.rows[0].path, bytes(32))), 4, "too long"),
    "a shorter path": (lambda o: with_row(o, 0, path=o.rows[0].path[:-1]), 4, "too short"),
    "a changed path": (lambda o: with_row(o, 0, path=(bytes(32), *o.rows[0].path[1:])), 4, "not under the root"),
    "a changed record": (
        lambda o: with_record(o, 0, leaves=(changed(o.records[0].leaves[0]), *o.records[0].leaves[1:])),
        5,
        "not under the root",
    ),
    "a record in the place of another": (
        lambda o: with_record(o, 0, leaves=o.records[1].leaves),
        5,
        "not under the root",
    ),
    "a record short of bytes": (lambda o: with_record(o, 0, leaves=(b"", b"")), 5, "other sizes"),
    "a record beyond the end": (lambda o: with_record(o, -1, index=tiny.RECORDS), 5, "the source has"),
    "a record twice": (lambda o: replace(o, records=(o.records[0], *o.records)), 5, "not after the one before"),
    "salted in public": (lambda o: with_record(o, 0, salt=bytes(32)), 5, "salt is too many"),
    "a record left out": (lambda o: replace(o, records=o.records[1:]), 5, "is missing"),
    "a changed state": (
        lambda o: with_state(o, 1, (changed(o.states[1].leaves[0]), *o.states[1].leaves[1:])),
        6,
        "not the state in row 1",
    ),
    "a state in the place of another": (lambda o: with_state(o, 1, o.states[2].leaves), 6, "not the state in row 1"),
    "a state short of leaves": (lambda o: with_state(o, 0, o.states[0].leaves[1:]), 6, "other sizes"),
    "a state twice": (lambda o: replace(o, states=(o.states[0], *o.states)), 6, "not after the one before"),
    "a state of no row": (
        lambda o: replace(o, states=(*o.states, OpenedState(99, o.states[0].leaves))),
        6,
        "row 99",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_for_its_reason(name: str, opening: Opening, check: Callable[..., Report]) -> None:
    change, stage, words = ATTACKS[name]
    refused(check(change(opening)), stage, words)


@pytest.mark.parametrize("parts", [("states",), ("rows", "states")])
def test_challenged_step_that_is_left_out_decides_nothing(
    parts: tuple[str, ...], opening: Opening, check: Callable[..., Report]
) -> None:
    report = check(replace(opening, **{part: getattr(opening, part)[2:] for part in parts}))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.stages[7].outcome is Outcome.INCONCLUSIVE
    assert "leaves out step 1" in report.reasons[0]


def test_steps_that_were_not_asked_for_prove_nothing(opening: Opening, check: Callable[..., Report]) -> None:
    """The prover opens true steps; the verifier asked for others."""
    report = check(opening, (9, 10))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "leaves out step 9" in report.reasons[0]


def test_false_step_under_a_consistent_claim_is_rejected(
    proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state after step 12 is not what it gives; all that is hashed fits. A true step shows that we can judge."""
    forger = Forger(proof_copy)
    honest = opener._regenerate(open_proof(proof_copy), SOURCE, [Span(1, 2), Span(11, 12)], None, Silent())
    forger.set_state(12, forger.perturbed(12))
    forger.write()
    false = honest | {12: forger.layout.gather(forger.states[12])}
    monkeypatch.setattr(opener, "_regenerate", lambda *_: false)
    opening = open_steps(open_proof(proof_copy), SOURCE, (2, 12))
    refused(check(opening, (2, 12), proof_copy), 9, "step 12 differs from the ledger", "state_digest")
    assert check(opening, (2,), proof_copy)


def _chosen_indices(forger: Forger) -> dict[str, Any]:
    """A batch that the prover likes better: the one of the step before, digested as such."""
    return {"indices": forger.rows[11].indices, "batch": forger.rows[11].batch}


FALSE_ROWS: dict[str, tuple[Callable[[Forger], dict[str, Any]], int, str]] = {
    "a chosen key": (lambda f: {"key": f.rows[11].key}, 5, "row 12: key is not the one that the commitment gives"),
    "a chosen batch": (_chosen_indices, 5, "row 12: indices are not those that the commitment gives"),
    "a batch cut short": (lambda f: {"indices": f.rows[12].indices[:1]}, 5, "row 12: has 1 indices, expected a batch"),
    "a batch of other records": (lambda f: {"batch": f.rows[11].batch}, 5, "row 12: batch_digest is not that of its"),
    "no loss": (lambda f: {"loss": None}, 4, "loss is missing"),
    "no state digest": (lambda f: {"state": None}, 4, "state_digest is missing"),
}


@pytest.mark.parametrize("name", FALSE_ROWS)
def test_false_row_under_a_consistent_claim(
    name: str, proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is in the claimed ledger, with its inclusion proof; only what it says is false."""
    change, stage, words = FALSE_ROWS[name]
    forger = Forger(proof_copy)
    honest = opener._regenerate(open_proof(proof_copy), SOURCE, [Span(11, 12)], None, Silent())
    forger.change(12, **change(forger))
    forger.write()
    monkeypatch.setattr(opener, "_regenerate", lambda *_: honest)
    refused(check(open_steps(open_proof(proof_copy), SOURCE, (12,)), (12,), proof_copy), stage, words)


def test_claimed_final_state_that_is_not_the_last_row_s(
    proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim names a model that no row has."""
    forger = Forger(proof_copy)
    honest = opener._regenerate(open_proof(proof_copy), SOURCE, [Span(23, 24)], None, Silent())
    forger.write(final_state="7" * 64)
    monkeypatch.setattr(opener, "_regenerate", lambda *_: honest)
    refused(check(open_steps(open_proof(proof_copy), SOURCE, (24,)), (24,), proof_copy), 4, "final_state", "row 24")


# --- the file ----------------------------------------------------------------------------------------------------


def test_what_parses_encodes_to_the_same_bytes(opening: Opening) -> None:
    assert parse_opening(opening.encode(), "it") == opening


def test_second_implementation_reads_and_writes_it(opening: Opening, plain_proof: Path) -> None:
    content, claim = opening.encode(), (plain_proof / "claim.json").read_bytes()
    plain = msgspec.msgpack.decode(content)
    assert second.pack(plain) == content
    rows = {row.step: row for row in open_proof(plain_proof).rows()}
    assert second.opened(plain, claim) == {step: rows[step].state for step in (0, 1, 7, 8, 23, 24)}
    for name in ("a changed row", "a changed record", "a changed state", "another claim", "another program"):
        with pytest.raises(second.Refused):
            second.opened(msgspec.msgpack.decode(ATTACKS[name][0](opening).encode()), claim)


def test_second_implementation_reads_private_records(tmp_path: Path) -> None:
    proof = train(tiny.plain(), tmp_path / "p", steps=4, choices=Choices(interval=4, secret=SECRET))
    plain = msgspec.msgpack.decode(open_steps(proof, SOURCE, (2,), secret=SECRET).encode())
    assert set(second.opened(plain, (tmp_path / "p" / "claim.json").read_bytes())) == {1, 2}


@hypothesis.given(place=st.integers(0, 2**24), flip=st.integers(1, 255))
@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused(
    place: int, flip: int, opening: Opening, plain_proof: Path, tmp_path: Path
) -> None:
    content = bytearray(opening.encode())
    content[place % len(content)] ^= flip
    (tmp_path / "opening").write_bytes(content)
    report = opening_verifier.verify_opening(plain_proof, tmp_path / "opening", ListedSteps(STEPS), b"")
    assert report.verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x90", b"\x80", b"\xdd\xff\xff\xff\xff", b"\x81\xa1\xff\x00", b"\x91" * 5000]
)
def test_what_is_no_opening(content: bytes, tmp_path: Path, plain_proof: Path) -> None:
    (tmp_path / "opening").write_bytes(content)
    report = opening_verifier.verify_opening(plain_proof, tmp_path / "opening", ListedSteps((1,)), b"")
    refused(report, 1, "is no opening")


def test_more_or_less_than_an_opening(opening: Opening) -> None:
    content = opening.encode()
    longer = msgspec.msgpack.encode(msgspec.to_builtins(opening) | {"more": 1})
    for wrong in (content + b"\0", content[:-1], longer):
        with pytest.raises(ProofError):
            parse_opening(wrong, "it")
    reordered = msgspec.msgpack.encode(dict(reversed(msgspec.structs.asdict(opening).items())))
    with pytest.raises(ProofError, match="canonical"):
        parse_opening(reordered, "it")


def test_size_is_bounded_before_reading(opening: Opening, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    with pytest.raises(ProofError, match="more than 100 bytes"):
        read_opening(tmp_path / "opening", dataclasses.replace(Limits(), opening_bytes=100))


# --- the challenge -----------------------------------------------------------------------------------------------


def test_random_steps_are_a_function_of_claim_nonce_and_policy() -> None:
    drawn = draw_steps(RandomSteps(), 1000, b"c" * 32, b"n")
    assert drawn == draw_steps(RandomSteps(), 1000, b"c" * 32, b"n") == sorted(set(drawn))
    assert len(drawn) == 86  # 99% sure to meet one of 50 false among 1000
    assert set(drawn) <= set(range(1, 1001))
    others = [(b"d" * 32, b"n", RandomSteps()), (b"c" * 32, b"m", RandomSteps()), (b"c" * 32, b"n", RandomSteps(0.98))]
    assert all(draw_steps(policy, 1000, claim, nonce) != drawn for claim, nonce, policy in others)


@pytest.mark.parametrize("policy", [ListedSteps(()), ListedSteps((0,)), ListedSteps((9,)), RandomSteps(fraction=1.0)])
def test_challenge_that_would_check_nothing(policy: ListedSteps | RandomSteps) -> None:
    with pytest.raises(UsageError):
        draw_steps(policy, 8, b"c" * 32, b"n")


def test_spans_end_where_the_ledger_has_digests() -> None:
    schedule = Schedule(
        batch_size=1, interval=10, witness_interval=4, order="feistel-splitmix64-8", prng="threefry2x32"
    )
    found = spans(schedule, (1, 3, 4, 5, 9, 10, 11, 13), 13)
    assert found == [Span(0, 4), Span(4, 8), Span(8, 10), Span(10, 12), Span(12, 13)]
    assert np.array_equal([step for span in found for step in span.steps], np.arange(1, 14))


# --- the command line --------------------------------------------------------------------------------------------


def test_challenge_open_verify(plain_proof: Path, tmp_path: Path) -> None:
    def pol(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pol_jax.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)

    shutil.copyfile(plain_proof / "claim.json", tmp_path / "claim.json")
    asked = pol("challenge", tmp_path / "claim.json", "--nonce", "aabb", "--confidence", "0.5")
    assert asked.returncode == 0, asked.stderr
    assert "--nonce aabb --confidence 0.5" in asked.stdout
    draw = ("--nonce", "aabb", "--confidence", "0.5")
    opened = pol("open", plain_proof, *draw, "--out", tmp_path / "o", "--task", "tiny:plain")
    assert opened.returncode == 0, opened.stderr
    accepted = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *draw, "--json", tmp_path / "json")
    assert accepted.returncode == 0, accepted.stderr
    assert "accepted" in accepted.stdout
    assert msgspec.json.decode((tmp_path / "json").read_bytes(), type=Report).coverage.unit == "step"
    for wrong, problem in (
        ((), "give --steps LIST, or the --nonce"),
        ((*draw, "--steps", "1"), "one of them"),
        ((*draw, "--all"), "has no meaning for an opening"),
        (("--steps", "1", "--fraction", "0.1"), "leave out --steps"),
    ):
        refusal = pol("verify", tmp_path / "claim.json", "--opening", tmp_path / "o", *wrong)
        assert refusal.returncode == 2
        assert problem in refusal.stderr
        assert len(refusal.stderr.strip().splitlines()) == 1
    assert pol("verify", plain_proof, "--steps", "1").returncode == 2


# --- another backend than the prover's ---------------------------------------------------------------------------


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify as on a backend that is not the prover's: bits can't reject there."""
    here = opening_verifier.current_environment()
    monkeypatch.setattr(opening_verifier, "current_environment", lambda: replace(here, jaxlib="0.0.1"))


def forged(proof_copy: Path, monkeypatch: pytest.MonkeyPatch, push: float) -> Opening:
    """An opening of the steps 2 and 12, consistent with its claim, whose state after step 12 is off in one weight."""
    forger = Forger(proof_copy)
    honest = opener._regenerate(open_proof(proof_copy), SOURCE, [Span(1, 2), Span(11, 12)], None, Silent())
    leaves = [leaf.copy() for leaf in forger.states[12]]
    weights = next(leaf for leaf in leaves if leaf.dtype == np.float32 and leaf.size == 48)
    weights.reshape(-1)[0] += np.float32(push)
    forger.set_state(12, leaves)
    forger.write()
    monkeypatch.setattr(opener, "_regenerate", lambda *_: honest | {12: forger.layout.gather(forger.states[12])})
    return open_steps(open_proof(proof_copy), SOURCE, (2, 12))


def test_false_step_is_rejected_on_another_backend(
    proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = forged(proof_copy, monkeypatch, push=0.5)
    elsewhere(monkeypatch)
    report = check(opening, (2, 12), proof_copy)
    refused(report, 9, "step 12 is not what this machine gives")
    assert [(each.stop, each.outcome) for each in report.compared] == [(12, Outcome.FAILED)]
    assert report.compared[0].error > report.compared[0].tolerance


def test_small_false_part_of_a_step_is_never_accepted(
    proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by less than a backend may be known to be wrong for, and by more than rounding explains."""
    opening = forged(proof_copy, monkeypatch, push=1e-4)
    elsewhere(monkeypatch)
    report = check(opening, (2, 12), proof_copy)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.compared[0].outcome is not Outcome.PASSED


def test_false_initial_state_is_rejected_on_another_backend(
    proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights from elsewhere, and true steps from them."""
    forger = Forger(proof_copy)
    leaves = [leaf + leaf.dtype.type(1) if leaf.dtype == np.float32 else leaf for leaf in forger.states[0]]
    forger.train_on(SOURCE, 0, 24, leaves)
    forger.write()
    opening = open_steps(open_proof(proof_copy), SOURCE, (1,))
    elsewhere(monkeypatch)
    report = check(opening, (1,), proof_copy)
    refused(report, 7, "the initial state is not what this machine gives")
    assert (report.compared[0].start, report.compared[0].stop) == (-1, 0)


@pytest.mark.parametrize("abroad", [False, True])
@pytest.mark.parametrize("loss", [b"\0\0\0\0", np.float32(np.nan).tobytes()])
def test_false_loss_is_rejected_by_tolerance_too(
    abroad: bool, loss: bytes, proof_copy: Path, check: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The states are true; the learning curve is not. No other step shows whether bits can be judged here."""
    forger = Forger(proof_copy)
    honest = opener._regenerate(open_proof(proof_copy), SOURCE, [Span(11, 12)], None, Silent())
    forger.change(12, loss=loss)
    forger.write()
    monkeypatch.setattr(opener, "_regenerate", lambda *_: honest)
    opening = open_steps(open_proof(proof_copy), SOURCE, (12,))
    if abroad:
        elsewhere(monkeypatch)
    refused(check(opening, (12,), proof_copy), 9, "step 12 is not what this machine gives", "loss")


def other_python() -> Path | None:
    """Another supported interpreter that has this package's dependencies, beside this one."""
    root = Path(__file__).parents[1]
    named = [Path(os.environ["POL_OTHER_PYTHON"])] if "POL_OTHER_PYTHON" in os.environ else []
    for python in (*named, root / ".venv/bin/python", root / ".venv-3.12/bin/python"):
        code = "import sys, jax, pyarrow; print(*sys.version_info[:2], jax.__version__)"
        if not python.exists():
            continue
        found = subprocess.run([python, "-c", code], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.split()[2] != jax.__version__:
            return python
    return None


@pytest.mark.parametrize("proved_here", [True, False], ids=["proved here", "proved there"])
@pytest.mark.parametrize(("task", "steps"), [("tiny:linen", 12), ("digits", 20)])
def test_proof_of_another_jax_verifies_by_tolerance(task: str, steps: int, proved_here: bool, tmp_path: Path) -> None:
    """A proof of one version of jax is accepted under the other: as a directory, and opened, with the claim alone."""
    other = other_python()
    if other is None:
        pytest.skip("no second interpreter with another jax: make .venv-3.12 as .ci/run does, or set POL_OTHER_PYTHON")
    prover, verifier = (Path(sys.executable), other) if proved_here else (other, Path(sys.executable))
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[1]}"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)

    def pol(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "pol_jax.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    asked = ("--steps", f"1,{steps // 2},{steps}")
    trained = pol(prover, "train", task, "--out", "p", "--steps", steps, "--interval", steps // 2)
    assert trained.returncode == 0, trained.stderr
    opened = pol(prover, "open", "p", *asked, "--out", "o", "--task", task)
    assert opened.returncode == 0, opened.stderr
    for arguments in (("p/claim.json", "--opening", "o", *asked), ("p", "--all", "--task", task)):
        judged = pol(verifier, "verify", *arguments, "--json", "r")
        assert judged.returncode == 0, judged.stdout + judged.stderr
        report = msgspec.json.decode((tmp_path / "r").read_bytes(), type=Report)
        assert report.verdict is Verdict.ACCEPTED
        assert report.environment.jax != report.claimed_environment.jax
        assert all(each.outcome is Outcome.PASSED for each in report.compared)
