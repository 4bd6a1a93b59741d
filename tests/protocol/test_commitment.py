"""Commitments: every byte matters, and what none can say is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from stored_vectors import vectors

import pol_jax
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol import encoding
from pol_jax.protocol.commitment import Commitment


def test_what_no_commitment_can_say_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from pol_jax.errors import TaskError

    task = tiny.nested()
    for wrong in ({"rate": float("nan")}, {"seed": 2**60}):
        with pytest.raises(TaskError, match="hyperparameter"):
            pol_jax.train(replace(task, hyperparameters=wrong), tmp_path / "proof", steps=1)
    with pytest.raises(UsageError, match="nonce"):
        pol_jax.train(task, tmp_path / "proof", steps=1, choices=pol_jax.Choices(seed="x" * 300))
    with pytest.raises(TaskError, match="batch_size"):
        pol_jax.train(replace(task, batch_size=2**21), tmp_path / "proof", steps=1)


def test_every_byte_of_a_commitment_matters() -> None:
    """No other bytes parse to the same commitment, and none crash the parser."""
    content = vectors("documents")["accepted"][0]["text"].encode()
    for at in range(len(content)):
        for wounded in (content[:at] + content[at + 1 :], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            try:
                parsed = Commitment.parse(wounded)
            except ProofError:
                continue
            assert parsed.encode() == wounded
            assert parsed.digest() == encoding.document_digest("commitment", wounded, parsed.format)
