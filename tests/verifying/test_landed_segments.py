"""What a run has sealed so far is replayed from its checkpoints, and a difference is replayed a second time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import tiny
from forge import Forger

from pol_jax.errors import BackendError, ProofError
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.storage.ledger import DIRECTORY, segment_file
from pol_jax.verifying.landed_segments import LandedSegments, sealed_segments


def landed(root: Path) -> LandedSegments:
    return LandedSegments(root, Limits(), lambda _: tiny.plain().source, None)


def test_segments_are_sealed_in_a_row(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir()
    assert sealed_segments(tmp_path, 0) == 0
    for segment in (0, 1, 3):
        (tmp_path / segment_file(segment)).touch()
    assert [sealed_segments(tmp_path, known) for known in (0, 1, 2)] == [2, 2, 2]


def test_a_segment_is_replayed_from_its_checkpoint(plain_proof: Path) -> None:
    run, told = landed(plain_proof), list[int]()

    def at(row: Row) -> None:
        told.append(row.step)

    assert run.replay(1, at).exact
    assert told == [7, 8, 9, 10, 11, 12]
    assert run.differences() == []
    assert not run.is_another_run()


def test_a_false_step_is_told_where_it_was_made_here(forger: Forger) -> None:
    forger.change(9, state=bytes(32))
    forger.write()
    result = landed(forger.root).replay(1, lambda _: None)
    assert (result.mismatch, result.fields) == (9, ("state_digest",))
    forger.write_documents(environment=msgspec.structs.replace(forger.claim.environment, cpu="an abacus"))
    with pytest.raises(BackendError, match=r"the replay of step 9 differs .* which proves nothing here \(cpu"):
        landed(forger.root).replay(1, lambda _: None)


def test_a_run_that_takes_the_place_of_another_is_noticed(forger: Forger) -> None:
    run = landed(forger.root)
    forger.commit_to(lambda plain: plain.update(nonce="another"))
    forger.write_documents()
    assert run.is_another_run()


def test_limits_are_checked_before_programs_are_loaded(plain_proof: Path) -> None:
    with pytest.raises(ProofError, match="state: more than the limit of 8 bytes"):
        LandedSegments(plain_proof, Limits(state_bytes=8), tiny.plain().source, None)
