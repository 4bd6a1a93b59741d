"""A confined process parses ledgers and states for commands, and what it says is not believed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from pol_jax.errors import BackendError, PolError, ProofError
from pol_jax.proving.recording import Recording
from pol_jax.sandbox import reading, starting
from pol_jax.sandbox.proofs import open_apart
from pol_jax.sandbox.reading_messages import ErrorRaised, LastStepRead, LeafRead, RowsRead
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import Proof, open_proof

Answering = Callable[..., None]


@pytest.mark.apart
def test_a_confined_process_gives_the_same_rows_and_leaves(plain_proof: Path) -> None:
    own = open_proof(plain_proof)
    with open_apart(plain_proof) as proof:
        assert list(proof.rows()) == list(own.rows())
        assert proof.row(7) == own.row(7)
        for confined, direct in zip(proof.host_leaves(24), own.host_leaves(24), strict=True):
            assert (confined.dtype, confined.shape) == (direct.dtype, direct.shape)
            assert confined.tobytes() == direct.tobytes()


@pytest.mark.apart
def test_that_process_is_confined_and_bounded(
    plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts as that of a verification does, which test_confinement.py attacks."""
    (tmp_path / "secret").write_text("secret")
    code = (
        f"try:\n    open({str(tmp_path / 'secret')!r})\nexcept PermissionError:\n    print('refused', unrestricted)\n"
        "raise SystemExit\n"
    )
    start = starting._CODE.replace("from pol_jax.garbage", code + "from pol_jax.garbage")
    monkeypatch.setattr(starting, "_CODE", start)
    with starting.reading_process(str(plain_proof)) as started:
        assert started.describe_end() == "ended without a report: refused []"


@pytest.mark.apart
def test_a_command_ends_in_one_line_where_memory_does(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pol_jax.sandbox.runs.memory_of_reading", lambda *_: 2**24)
    with open_apart(plain_proof) as proof, pytest.raises(BackendError, match="out of memory") as raised:
        list(proof.rows())
    assert "\n" not in str(raised.value)


def test_a_run_that_is_not_finished_is_read_too(tmp_path: Path) -> None:
    with Recording(tiny.plain(), tmp_path / "run") as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 9:
                break
    own = open_proof(tmp_path / "run")
    with open_apart(tmp_path / "run") as proof:
        assert (proof.last_step, list(proof.rows())) == (9, list(own.rows()))


def test_errors_are_those_of_the_parsers(proof_copy: Path) -> None:
    (proof_copy / segment_file(1)).write_bytes(b"PAR1 and nothing else PAR1")
    shutil.rmtree(proof_copy / "checkpoints" / "0000000006")
    own = open_proof(proof_copy)
    with open_apart(proof_copy) as proof:
        for read in (lambda which: list(which.rows()), lambda which: which.host_leaves(6)):
            assert said(read, proof) == said(read, own)


def said(read: Callable[[Proof], Any], proof: Proof) -> tuple[type[PolError], str]:
    with pytest.raises(ProofError) as raised:
        read(proof)
    return type(raised.value), str(raised.value)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let the reading process answer every question with these messages, whatever it is asked."""

    def answer(*messages: Any) -> None:
        monkeypatch.setattr(reading, "_answer", lambda root, asked: iter(messages))

    return answer


def test_rows_of_a_process_that_was_taken_over_are_checked(plain_proof: Path, answering: Answering) -> None:
    rows = [row.encode() for row in open_proof(plain_proof).rows()]
    for messages, words in (
        ([RowsRead(rows[:6], True)], "other rows than those"),
        ([RowsRead(rows[1:8], True)], "other rows than those"),
        ([RowsRead(rows, False)], "other rows than those"),
        ([RowsRead([b"no row"], True)], "sent no row"),
        ([LeafRead(b"x")], "something else than rows"),
    ):
        answering(*messages)
        with open_apart(plain_proof) as proof, pytest.raises(BackendError, match=words):
            list(proof.rows())


def test_leaves_of_a_process_that_was_taken_over_are_checked(plain_proof: Path, answering: Answering) -> None:
    for message in (LeafRead(b""), LeafRead(bytes(2**20)), LastStepRead(3)):
        answering(message)
        with open_apart(plain_proof) as proof, pytest.raises(BackendError, match="something else than the leaves"):
            proof.host_leaves(0)


def test_its_errors_are_escaped_and_of_few_classes(plain_proof: Path, answering: Answering) -> None:
    answering(ErrorRaised("SystemExit", "\x1b[2J" + "A" * 3000))
    with open_apart(plain_proof) as proof, pytest.raises(BackendError) as raised:
        proof.host_leaves(0)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 600
