"""Commitments and claims that belong to no proof: those of the test vectors, with changes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from stored_vectors import content_of, vectors

from pol_jax.program.artifact import Program
from pol_jax.program.signature import Signature
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment


def made_commitment(**changes: Any) -> Commitment:
    """The first commitment of the vectors: a kernel of float32 and a PRNG key, 300 steps of 64 records each."""
    return replace(Commitment.parse(content_of(vectors("documents")["accepted"][0])), **changes)


def made_claim(**changes: Any) -> Claim:
    """The first claim of the vectors, of 300 steps."""
    return replace(Claim.parse(content_of(vectors("documents")["accepted"][1])), **changes)


def made_program(commitment: Commitment, **changes: Any) -> Program:
    """A program that has a signature, and can't be executed."""

    def never(*_: Any) -> Any:
        raise AssertionError("the program was executed")

    known: dict[str, Any] = {name: never for name in ("init", "step", "observe", "divide")}
    known |= {"constant_bytes": 0, "packed_bytes": 0}
    return Program(signature=Signature.from_commitment(commitment), **(known | changes))
