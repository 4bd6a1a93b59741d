"""A proof that is opened apart gives the rows, leaves and errors that it gives here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pol_jax.errors import PolError, ProofError
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import Proof, open_proof


@pytest.mark.apart
def test_a_confined_process_gives_the_same_rows_and_leaves(plain_proof: Path) -> None:
    own = open_proof(plain_proof)
    with open_apart(plain_proof) as proof:
        assert list(proof.rows()) == list(own.rows())
        assert proof.row(7) == own.row(7)
        for confined, direct in zip(proof.host_leaves(24), own.host_leaves(24), strict=True):
            assert (confined.dtype, confined.shape) == (direct.dtype, direct.shape)
            assert confined.tobytes() == direct.tobytes()


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
