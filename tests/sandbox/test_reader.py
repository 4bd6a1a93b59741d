"""A confined process parses ledgers and states for commands, and what it says is not believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pol_jax.errors import BackendError
from pol_jax.sandbox import reading
from pol_jax.sandbox.proofs import open_apart
from pol_jax.sandbox.reading_messages import ErrorRaised, LastStepRead, LeafRead, RowsRead
from pol_jax.storage.proof import open_proof

Answering = Callable[..., None]


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
