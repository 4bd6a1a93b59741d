"""The stages before the replay, one by one: what each refuses, and what it hands on to those after it.

Attacks that they refuse are in tests/attacks, by stage.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny

from pol_jax.errors import ProofError
from pol_jax.protocol import claim, commitment, inventory
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.reports.curves import Curve
from pol_jax.verifying.checks import (
    Checked,
    check_commitment,
    check_files,
    check_files_to_states,
    check_inputs,
    check_ledger,
    check_names,
    check_states,
)

CHECKPOINTS = [0, 6, 12, 18, 24]


@pytest.mark.parametrize("name", [commitment.FILE, claim.FILE, inventory.FILE])
def test_each_document_must_be_there(name: str, tmp_path: Path) -> None:
    for each in {commitment.FILE, claim.FILE, inventory.FILE} - {name}:
        (tmp_path / each).write_bytes(b"{}")
    with pytest.raises(ProofError, match=f"^{name}: is missing") as refused:
        check_names(tmp_path, Limits())
    assert ("is the run finished?" in str(refused.value)) == (name != commitment.FILE)
    (tmp_path / name).write_bytes(b"{}")
    assert check_names(tmp_path, Limits()) == dict.fromkeys((commitment.FILE, claim.FILE, inventory.FILE), 2)


def claimed(proof: Path) -> Claim:
    return Claim.parse((proof / claim.FILE).read_bytes())


def test_limits_are_checked_before_what_they_bound_is_read(plain_proof: Path) -> None:
    sizes = check_names(plain_proof, Limits())
    found, listed = check_files(plain_proof, sizes, Limits(steps=tiny.STEPS))
    assert (found, set(listed.files)) == (claimed(plain_proof), set(sizes) - {inventory.FILE})
    with pytest.raises(ProofError, match=f"steps: {tiny.STEPS}, more than the limit of {tiny.STEPS - 1}"):
        check_files(plain_proof, sizes, Limits(steps=tiny.STEPS - 1))
    with pytest.raises(ProofError, match="state: more than the limit of 8 bytes"):
        check_commitment(plain_proof, claimed(plain_proof), Limits(state_bytes=8))


@pytest.fixture(scope="module")
def checked(plain_proof: Path) -> Checked:
    """The proof after stage 3."""
    return check_commitment(plain_proof, claimed(plain_proof), Limits())


def test_what_was_read_of_the_ledger_is_the_measure_from_then_on(checked: Checked) -> None:
    assert checked.proof.seen is None
    curve = Curve(tiny.STEPS)
    found = check_ledger(checked, checked.proof.claim, curve).proof
    assert found.seen is not None
    assert list(found.seen.states) == CHECKPOINTS
    assert found.seen.states == {step: found.row(step).state for step in CHECKPOINTS}
    assert [point.loss for point in curve.points()] == [row.loss for row in checked.proof.rows()][1:]


def test_rows_are_those_of_the_commitment_s_records(checked: Checked) -> None:
    check_inputs(checked.proof, checked.proof.claim, checked.records)
    other = checked.records.copy()
    other[7] ^= 1
    first = next(row.step for row in checked.proof.rows() if 7 in row.indices)
    with pytest.raises(ProofError, match=f"row {first}: batch_digest is not that of its records"):
        check_inputs(checked.proof, checked.proof.claim, other)


def test_each_state_is_shown_once_it_was_checked(checked: Checked) -> None:
    proof, shown = check_ledger(checked, checked.proof.claim).proof, list[int]()

    def observe(step: int, leaves: Sequence[np.ndarray]) -> None:
        shown.append(step)
        assert len(leaves) == len(proof.commitment.state)

    assert check_states(proof, observe) == shown == CHECKPOINTS
    assert proof.seen is not None
    lost = msgspec.structs.replace(proof.seen, states=proof.seen.states | {12: bytes(32)})
    shown.clear()
    with pytest.raises(ProofError, match="its state is not the one in row 12"):
        check_states(dataclasses.replace(proof, seen=lost), observe)
    assert shown == [0, 6]


def test_all_stages_before_the_replay_in_one_go(plain_proof: Path) -> None:
    """A prover's own look at what it has written."""
    found = check_files_to_states(plain_proof, Limits())
    assert found.proof.claim == claimed(plain_proof)
    assert found.proof.seen is not None
    assert found.records.shape == (tiny.RECORDS, 32)
