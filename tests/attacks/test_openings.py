"""Attacks on openings: each part is refused for its own reason, at its own stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
import second_implementation as second
import tiny
import unsandboxed
from forge import Forger, refused
from msgspec.structs import replace
from opened_steps import SOURCE, STEPS, open_blindly

from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import OpenedState, Opening
from pol_jax.protocol.policies import ListedSteps
from pol_jax.protocol.spans import Span
from pol_jax.proving import opener
from pol_jax.proving.opener import open_steps
from pol_jax.proving.regeneration import regenerate
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

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
    "salted in public": (lambda o: with_record(o, 0, salt=bytes(32)), 5, "salt must be missing"),
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
def test_attack_is_refused_for_its_reason(name: str, opening: Opening, check_opening: Callable[..., Report]) -> None:
    change, stage, words = ATTACKS[name]
    refused(check_opening(change(opening)), stage, words)


@pytest.mark.parametrize("parts", [("states",), ("rows", "states")])
def test_challenged_step_that_is_left_out_decides_nothing(
    parts: tuple[str, ...], opening: Opening, check_opening: Callable[..., Report]
) -> None:
    report = check_opening(replace(opening, **{part: getattr(opening, part)[2:] for part in parts}))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.stages[7].outcome is Outcome.INCONCLUSIVE
    assert "leaves out step 1" in report.reasons[0]


def test_a_state_beyond_the_limit(opening: Opening, plain_proof: Path, tmp_path: Path) -> None:
    write_opening(tmp_path / "opening", opening)
    size = sum(len(leaf) for leaf in opening.states[0].leaves)
    given: Any = (plain_proof, tmp_path / "opening", ListedSteps(STEPS))
    assert unsandboxed.verify_opening(*given, limits=Limits(state_bytes=size)).verdict is Verdict.ACCEPTED
    found = unsandboxed.verify_opening(*given, limits=Limits(state_bytes=size - 1))
    refused(found, 3, "state: more than the limit")


def test_steps_that_were_not_asked_for_prove_nothing(opening: Opening, check_opening: Callable[..., Report]) -> None:
    """The prover opens true steps; the verifier asked for others."""
    report = check_opening(opening, (9, 10))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "leaves out step 9" in report.reasons[0]


def test_false_step_under_a_consistent_claim_is_rejected(
    proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state after step 12 is not what it gives; all that is hashed fits. A true step shows that we can judge."""
    forger = Forger(proof_copy)
    honest = regenerate(open_proof(proof_copy).finished(), SOURCE, [Span(1, 2), Span(11, 12)], None, Silent())
    forger.set_state(12, forger.perturbed(12))
    forger.write()
    wrong = honest | {12: forger.layout.gather(forger.states[12])}
    monkeypatch.setattr(opener, "regenerate", lambda *_: wrong)
    opening = open_steps(open_proof(proof_copy), SOURCE, (2, 12))
    refused(check_opening(opening, (2, 12), proof_copy), 9, "step 12 differs from the ledger", "state_digest")
    assert check_opening(opening, (2,), proof_copy)


def _chosen_indices(forger: Forger) -> dict[str, Any]:
    """A batch that the prover likes better: the one of the step before, digested as such."""
    return {"indices": forger.rows[11].indices, "batch": forger.rows[11].batch}


FALSE_ROWS: dict[str, tuple[Callable[[Forger], dict[str, Any]], int, str]] = {
    "a chosen key": (lambda f: {"key": f.rows[11].key}, 5, "row 12: key is not the one that the commitment gives"),
    "a chosen batch": (_chosen_indices, 5, "row 12: indices are not those that the commitment gives"),
    "a batch cut short": (lambda f: {"indices": f.rows[12].indices[:1]}, 5, "row 12: has 1 indices, expected a batch"),
    "a batch of other records": (lambda f: {"batch": f.rows[11].batch}, 5, "row 12: batch_digest is not that of its"),
    "no metrics": (lambda f: {"metrics": b""}, 4, "metrics: got 0, expected 2"),
    "no state digest": (lambda f: {"state": None}, 4, "state_digest is missing"),
}


@pytest.mark.parametrize("name", FALSE_ROWS)
def test_false_row_under_a_consistent_claim(
    name: str, proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is in the claimed ledger, with its inclusion proof; only what it says is false."""
    change, stage, words = FALSE_ROWS[name]
    forger = Forger(proof_copy)
    honest = regenerate(open_proof(proof_copy).finished(), SOURCE, [Span(11, 12)], None, Silent())
    forger.change(12, **change(forger))
    forger.write()
    monkeypatch.setattr(opener, "regenerate", lambda *_: honest)
    refused(check_opening(open_steps(open_proof(proof_copy), SOURCE, (12,)), (12,), proof_copy), stage, words)


def test_claimed_final_state_that_is_not_the_last_row_s(
    proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim names a model that no row has."""
    forger = Forger(proof_copy)
    honest = regenerate(open_proof(proof_copy).finished(), SOURCE, [Span(23, 24)], None, Silent())
    forger.write(final_state="7" * 64)
    monkeypatch.setattr(opener, "regenerate", lambda *_: honest)
    refused(check_opening(open_blindly(proof_copy, (24,)), (24,), proof_copy), 4, "final_state", "row 24")


def test_second_implementation_reads_and_writes_it(opening: Opening, plain_proof: Path) -> None:
    content, claim = opening.encode(), (plain_proof / "claim.json").read_bytes()
    plain = msgspec.msgpack.decode(content)
    assert second.pack(plain) == content
    rows = {row.step: row for row in open_proof(plain_proof).rows()}
    assert second.opened(plain, claim) == {step: rows[step].state for step in (0, 1, 7, 8, 23, 24)}
    for name in ("a changed row", "a changed record", "a changed state", "another claim", "another program"):
        with pytest.raises(second.Refused):
            second.opened(msgspec.msgpack.decode(ATTACKS[name][0](opening).encode()), claim)


@hypothesis.given(place=st.integers(0, 2**24), flip=st.integers(1, 255))
@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused(
    place: int, flip: int, opening: Opening, plain_proof: Path, tmp_path: Path
) -> None:
    content = bytearray(opening.encode())
    content[place % len(content)] ^= flip
    (tmp_path / "opening").write_bytes(content)
    report = unsandboxed.verify_opening(plain_proof, tmp_path / "opening", ListedSteps(STEPS), b"")
    assert report.verdict is not Verdict.ACCEPTED


@pytest.mark.parametrize(
    "content", [b"", b"\xc1", b"\x90", b"\x80", b"\xdd\xff\xff\xff\xff", b"\x81\xa1\xff\x00", b"\x91" * 5000]
)
def test_what_is_no_opening(content: bytes, tmp_path: Path, plain_proof: Path) -> None:
    (tmp_path / "opening").write_bytes(content)
    report = unsandboxed.verify_opening(plain_proof, tmp_path / "opening", ListedSteps((1,)), b"")
    refused(report, 1, "is no opening")


# --- another backend than the prover's ---------------------------------------------------------------------------


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify as on a backend that is not the prover's: bits can't reject there."""
    environment = replace(current_environment(), jaxlib="0.0.1")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: environment)


def forged(proof_copy: Path, monkeypatch: pytest.MonkeyPatch, push: float) -> Opening:
    """An opening of the steps 2 and 12, consistent with its claim, whose state after step 12 is off in one weight."""
    forger = Forger(proof_copy)
    honest = regenerate(open_proof(proof_copy).finished(), SOURCE, [Span(1, 2), Span(11, 12)], None, Silent())
    leaves = [leaf.copy() for leaf in forger.states[12]]
    weights = next(leaf for leaf in leaves if leaf.dtype == np.float32 and leaf.size == 48)
    weights.reshape(-1)[0] += np.float32(push)
    forger.set_state(12, leaves)
    forger.write()
    monkeypatch.setattr(opener, "regenerate", lambda *_: honest | {12: forger.layout.gather(forger.states[12])})
    return open_steps(open_proof(proof_copy), SOURCE, (2, 12))


def test_false_step_is_rejected_on_another_backend(
    proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = forged(proof_copy, monkeypatch, push=0.5)
    elsewhere(monkeypatch)
    report = check_opening(opening, (2, 12), proof_copy)
    refused(report, 9, "step 12 is not what this machine gives")
    assert [(each.stop, each.outcome) for each in report.compared] == [(12, Outcome.FAILED)]
    compared = report.compared[0]
    assert compared.error is not None
    assert compared.tolerance is not None
    assert compared.error > compared.tolerance


def test_small_false_part_of_a_step_is_never_accepted(
    proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off by less than a backend may be known to be wrong for, and by more than rounding explains."""
    opening = forged(proof_copy, monkeypatch, push=1e-4)
    elsewhere(monkeypatch)
    report = check_opening(opening, (2, 12), proof_copy)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.compared[0].outcome is not Outcome.PASSED


def test_false_initial_state_is_rejected_on_another_backend(
    proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights from elsewhere, and true steps from them."""
    forger = Forger(proof_copy)
    leaves = [leaf + leaf.dtype.type(1) if leaf.dtype == np.float32 else leaf for leaf in forger.states[0]]
    forger.train_on(SOURCE, 0, 24, leaves)
    forger.write()
    opening = open_blindly(proof_copy, (1,))
    elsewhere(monkeypatch)
    report = check_opening(opening, (1,), proof_copy)
    refused(report, 7, "the initial state is not what this machine gives")
    assert (report.compared[0].start, report.compared[0].stop) == (-1, 0)


@pytest.mark.parametrize("abroad", [False, True])
@pytest.mark.parametrize("loss", [b"\0\0\0\0", np.float32(np.nan).tobytes()])
def test_false_loss_is_rejected_by_tolerance_too(
    abroad: bool, loss: bytes, proof_copy: Path, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The states are true; the learning curve is not. No other step shows whether bits can be judged here."""
    forger = Forger(proof_copy)
    honest = regenerate(open_proof(proof_copy).finished(), SOURCE, [Span(11, 12)], None, Silent())
    forger.change(12, loss=loss)
    forger.write()
    monkeypatch.setattr(opener, "regenerate", lambda *_: honest)
    opening = open_steps(open_proof(proof_copy), SOURCE, (12,))
    if abroad:
        elsewhere(monkeypatch)
    refused(check_opening(opening, (12,), proof_copy), 9, "step 12 is not what this machine gives", "loss")
