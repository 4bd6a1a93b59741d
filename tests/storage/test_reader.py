"""A reader gives rows and states as values; the direct one reads them in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pol_jax.errors import ProofError
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import open_proof
from pol_jax.storage.reader import DIRECT, Reader


def test_the_direct_reader_reads_segments_and_states_of_a_proof(plain_proof: Path) -> None:
    proof = open_proof(plain_proof)
    layout, expected = proof.commitment.row_layout, proof.segments.rows(1)
    assert isinstance(DIRECT, Reader)
    assert [row.step for row in DIRECT.segment(plain_proof, 1, expected, layout)] == list(expected)
    assert DIRECT.last_step(plain_proof, 1) == expected[-1]
    for own, other in zip(
        DIRECT.leaves(plain_proof, checkpoint_name(6), proof.commitment.state), proof.host_leaves(6), strict=True
    ):
        assert own.tobytes() == other.tobytes()


def test_what_can_not_be_read_is_refused(proof_copy: Path) -> None:
    proof = open_proof(proof_copy)
    (proof_copy / segment_file(1)).write_bytes(b"PAR1 and nothing else PAR1")
    shutil.rmtree(proof_copy / checkpoint_name(6))
    with pytest.raises(ProofError, match=segment_file(1)):
        DIRECT.segment(proof_copy, 1, proof.segments.rows(1), proof.commitment.row_layout)
    with pytest.raises(ProofError, match=segment_file(1)):
        DIRECT.last_step(proof_copy, 1)
    with pytest.raises(ProofError, match=checkpoint_name(6)):
        DIRECT.leaves(proof_copy, checkpoint_name(6), proof.commitment.state)
