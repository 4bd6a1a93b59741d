"""The trusted program is exported ahead, for the documents that the child asks about, and for no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from pol_jax.errors import TaskError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.early_export import begin_export
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.trusted_program import Expected


class Told:
    """Tells an expectation that has the number of times that it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Commitment, int]] = []

    def __call__(self, commitment: Commitment, steps: int) -> Expected:
        self.asked.append((commitment, steps))
        return Expected(("", ""), ("", ""), f"{len(self.asked)}")


def test_what_the_child_asks_for_was_begun_before(plain_proof: Path) -> None:
    told, proof = Told(), open_proof(plain_proof)
    expect = begin_export(told, plain_proof, Limits())
    for _ in range(2):
        found = expect(proof.commitment, 24)
        assert found is not None
        assert found.names == "1"
    assert told.asked == [(proof.commitment, 24)]


def test_for_anything_else_the_source_is_asked_again(plain_proof: Path) -> None:
    """The proof may have been changed since, or the child may not be ours any more."""
    told, commitment = Told(), open_proof(plain_proof).commitment
    expect = begin_export(told, plain_proof, Limits())
    other = msgspec.structs.replace(commitment, nonce="other")
    for number, asked in enumerate([(other, 24), (commitment, 23)], 2):
        found = expect(*asked)
        assert found is not None
        assert found.names == f"{number}"
        assert told.asked[-1] == asked


@pytest.mark.parametrize("wound", ["no claim", "no commitment", "another commitment", "too many steps", "other steps"])
def test_documents_that_no_check_would_pass_begin_nothing(wound: str, plain_proof: Path, tmp_path: Path) -> None:
    for name in ("claim.json", "commitment.json"):
        shutil.copy(plain_proof / name, tmp_path)
    limits = Limits(steps=23) if wound == "too many steps" else Limits()
    if wound.startswith("no "):
        (tmp_path / f"{wound[3:]}.json").write_bytes(b"{}")
    if wound.startswith("other"):
        claim = (tmp_path / "claim.json").read_bytes()
        (tmp_path / "claim.json").write_bytes(claim.replace(b'"steps":24', b'"steps":12'))
    if wound.startswith("another"):
        content = msgspec.structs.replace(open_proof(plain_proof).commitment, nonce="other").encode()
        (tmp_path / "commitment.json").write_bytes(content)
    told = Told()
    assert begin_export(told, tmp_path, limits) is told
    assert told.asked == []


def test_an_error_of_the_source_is_told_to_who_asks(plain_proof: Path) -> None:
    def fail(_commitment: Commitment, _steps: int) -> Expected:
        raise TaskError("the task fails")

    expect = begin_export(fail, plain_proof, Limits())
    with pytest.raises(TaskError, match="the task fails"):
        expect(open_proof(plain_proof).commitment, 24)
