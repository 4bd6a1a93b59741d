"""A worker's documents are held against what a coordinator knows beforehand; what comes first is told first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from federation import STEPS, TRUSTED, assignment, model
from made_documents import made_claim

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim, Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import OwnKey
from pol_jax.protocol.limits import Limits
from pol_jax.workers.documents import Expectation, check_signature, check_update_documents, expect

KEY = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.fixture(scope="module")
def expected() -> Expectation:
    return expect(TRUSTED, assignment(0), model(1))


def checked(root: Path, expected: Expectation, own: Commitment, **claimed: Any) -> Claim:
    """Hand in these documents."""
    known: dict[str, Any] = {"commitment": own.digest().hex(), "steps": expected.steps}
    (root / "commitment.json").write_bytes(own.encode())
    (root / "claim.json").write_bytes(made_claim(**(known | claimed)).encode())
    return check_update_documents(root, expected, Limits())


def test_what_was_assigned_is_accepted_whatever_the_programs_bytes_are(expected: Expectation, tmp_path: Path) -> None:
    """Another jax may write the same program in another way; the programs themselves are compared later."""
    own = expected.commitment
    assert checked(tmp_path, expected, own).steps == STEPS
    program = msgspec.structs.replace(own.program, init="0" * 64, step="1" * 64)
    assert checked(tmp_path, expected, msgspec.structs.replace(own, program=program))


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("", {"nonce": "mine"}, "the seed is of another round or another worker: nonce is 'mine'"),
        ("", {"initial": OwnKey()}, "it starts from other weights than those that were sent out: initial"),
        ("data", {"root": "0" * 64}, "it was trained on other data than this worker registered: data.root"),
        ("", {"prover": KEY}, "it is in the name of another key than that of this worker: prover"),
        ("schedule", {"batch_size": 1}, "it has another number of steps, batch size or interval than assigned"),
        ("", {"beacon": "b"}, "it names a beacon, which was not assigned"),
        ("task", {"name": "b"}, "it describes another task: task.name"),
        ("", {"arithmetic": "exact/1"}, "it was not assigned: arithmetic"),
        ("", {"nonce": "mine", "beacon": "b", "arithmetic": "exact/1"}, "the seed is of another round"),
    ],
)
def test_anything_else_is_one_line_of_what_it_means(
    part: str, changes: dict[str, Any], words: str, expected: Expectation, tmp_path: Path
) -> None:
    own = expected.commitment
    if part:
        changes = {part: msgspec.structs.replace(getattr(own, part), **changes)}
    with pytest.raises(ProofError, match=words):
        checked(tmp_path, expected, msgspec.structs.replace(own, **changes))


def test_a_claim_of_other_steps_or_of_a_changed_state_is_refused(expected: Expectation, tmp_path: Path) -> None:
    given = (Intervention(3, ("/params/w",), "0" * 64, "better"),)
    for claimed, words in (
        ({"steps": STEPS - 1}, f"trained {STEPS - 1} steps, expected {STEPS}"),
        ({"interventions": given}, "it changed the state from outside after step 3"),
        ({"commitment": "0" * 64}, "is not the commitment that the claim names"),
    ):
        with pytest.raises(ProofError, match=words):
            checked(tmp_path, expected, expected.commitment, **claimed)


def test_a_claim_without_a_signature_is_refused_where_a_key_is_known(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match=f"is missing: the claim must be signed by {KEY}"):
        check_signature(tmp_path, made_claim(), KEY, Limits())
