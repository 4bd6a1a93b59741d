"""States are checked and read leaf by leaf, and what is read again is what was checked."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from at_moments import At
from unsandboxed import verify

from pol_jax.errors import ProofError
from pol_jax.protocol.policies import AllSegments, TopSegments
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.storage import checked_leaves, checked_parts
from pol_jax.storage.checked_leaves import CheckedLeaves, check_leaves
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.storage.stored_leaves import StoredLeaves


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state is too large to be kept in memory, while it is checked and afterwards."""
    monkeypatch.setattr(checked_leaves, "KEPT_BYTES", 0)
    monkeypatch.setattr(checked_parts, "BOUND", 0)


def leaves_of(root: Path, step: int) -> CheckedLeaves:
    return check_leaves(root, checkpoint_name(step), open_proof(root).commitment.state)


def test_leaves_are_those_of_the_state(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = leaves_of(plain_proof, 6)
    monkeypatch.setattr(checked_leaves, "KEPT_BYTES", 0)
    read = leaves_of(plain_proof, 6)
    assert read.digest() == kept.digest() == open_proof(plain_proof).row(6).state
    for one, other in zip(kept, read, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(read[-1], kept[len(kept) - 1])
    assert [each.tobytes() for each in read[1:3]] == [each.tobytes() for each in list(kept)[1:3]]


@pytest.mark.parametrize("change", ["another state", "gone"])
def test_what_is_read_again_is_what_was_checked(change: str, proof_copy: Path, large: None) -> None:
    leaves, checkpoint = leaves_of(proof_copy, 6), proof_copy / checkpoint_name(6)
    shutil.rmtree(checkpoint)
    if change == "another state":
        shutil.copytree(proof_copy / checkpoint_name(12), checkpoint)
    with pytest.raises(ProofError, match="changed since it was checked"):
        list(leaves)


def test_bits_that_are_others_the_second_time_are_refused(
    proof_copy: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files may look as they did: what counts is what was read."""
    leaves, read = leaves_of(proof_copy, 6), StoredLeaves.read

    def changed(self: StoredLeaves, at: int, part: Any) -> np.ndarray:
        return -read(self, at, part)

    floats = next(at for at, leaf in enumerate(leaves) if leaf.dtype == np.float32 and leaf.any())
    monkeypatch.setattr(StoredLeaves, "read", changed)
    with pytest.raises(ProofError, match="changed since it was checked: its state is another one"):
        leaves[floats]


def test_what_was_kept_may_be_forgotten(proof_copy: Path) -> None:
    leaves = leaves_of(proof_copy, 6)
    shutil.rmtree(proof_copy / checkpoint_name(6))
    assert len(list(leaves)) == len(leaves)
    leaves.forget()
    with pytest.raises(ProofError, match="changed since"):
        list(leaves)


def test_no_state_is_held_whole(plain_proof: Path, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through all nine stages, the leaves that were read and are still there are a few at any time."""
    alive, most, checked = dict[int, int](), 0, StoredLeaves._checked

    def counted(stored: StoredLeaves, at: int, found: Any, index: Any) -> np.ndarray:
        nonlocal most
        array = checked(stored, at, found, index)
        alive[id(array)] = array.nbytes
        weakref.finalize(array, alive.pop, id(array), None)
        most = max(most, sum(alive.values()))
        return array

    monkeypatch.setattr(StoredLeaves, "_checked", counted)
    for policy in (AllSegments(), TopSegments(1)):
        report = verify(plain_proof, tiny.plain().source, policy=policy)
        assert (report.verdict, report.mode) == (Verdict.ACCEPTED, Mode.BITS), report.reasons
    state = open_proof(plain_proof).commitment.state
    assert most <= 3 * max(leaf.nbytes for leaf in state)


def test_a_state_swapped_while_it_is_verified_is_refused(proof_copy: Path, plain_proof: Path, large: None) -> None:
    """The drift asks for the first and the last state again, at the end."""

    def act() -> None:
        shutil.rmtree(proof_copy / checkpoint_name(tiny.STEPS))
        shutil.copytree(plain_proof / checkpoint_name(6), proof_copy / checkpoint_name(tiny.STEPS))

    report = verify(proof_copy, tiny.plain().source, policy=AllSegments(), progress=At(9, act))
    assert report.verdict is Verdict.REJECTED
    assert f"{checkpoint_name(tiny.STEPS)}: changed since it was checked" in report.reasons[-1]
