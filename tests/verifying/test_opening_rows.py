"""Rows of an opening: decoded in order, under the claimed root, with the key and the indices of their step."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from made_documents import made_claim, made_commitment

from pol_jax.errors import ProofError
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.encoding import FORMAT, batch_digest
from pol_jax.protocol.opening import OpenedRow, Opening
from pol_jax.protocol.rows import Row
from pol_jax.training.inputs import plan
from pol_jax.training.keys import step_keys
from pol_jax.verifying.opening_rows import (
    check_included,
    check_metrics,
    check_opened_rows,
    check_row,
    decode_opened_rows,
)

COMMITMENT = made_commitment()
LAYOUT = COMMITMENT.row_layout
STATE = b"\x07" * 32


def rows(last: int) -> list[Row]:
    """The rows of steps 0 to ``last``, as the commitment wants them."""
    key = step_keys(COMMITMENT.digest(), COMMITMENT.schedule.prng, 0, 1)[0]
    made = [Row(0, key.astype("<u4").tobytes(), np.empty(0, np.uint64), batch_digest([]), STATE, b"", LAYOUT)]
    for step, key, indices in plan(COMMITMENT, 1, last + 1):
        made.append(Row(step, key.astype("<u4").tobytes(), indices, bytes(32), STATE, bytes(8), LAYOUT))
    return made


ROWS = rows(2)


def opening(*opened: Row, every: list[Row] = ROWS) -> tuple[Opening, Claim]:
    """An opening of these rows, and a claim of all."""
    leaves = [row.digest() for row in every]
    paths = {row.step: tuple(merkle.proof(leaves, row.step)) for row in every}
    claim = made_claim(
        steps=len(every) - 1, ledger_root=merkle.root(leaves).hex(), final_state=(every[-1].state or b"").hex()
    )
    shown = tuple(OpenedRow(row.encode(), paths[row.step]) for row in opened)
    return Opening(FORMAT, claim.digest(), b"", b"", b"", shown, (), ()), claim


def test_rows_of_the_claimed_ledger_are_taken() -> None:
    made, claim = opening(ROWS[0], ROWS[2])
    assert check_opened_rows(made, COMMITMENT, claim) == {0: ROWS[0], 2: ROWS[2]}
    assert decode_opened_rows(made, LAYOUT) == {0: ROWS[0], 2: ROWS[2]}


def test_rows_ascend() -> None:
    made, _ = opening(ROWS[1], ROWS[1])
    with pytest.raises(ProofError, match=r"rows\[1\]: step 1 is not after the one before"):
        decode_opened_rows(made, LAYOUT)
    broken = msgspec.structs.replace(made, rows=(OpenedRow(b"row", ()),))
    with pytest.raises(ProofError, match=r"rows\[0\]: is no row"):
        decode_opened_rows(broken, LAYOUT)


def test_a_row_that_no_such_ledger_has_is_refused() -> None:
    """Though it is under the claimed root: the prover made that."""
    bare = [*ROWS[:2], replace(ROWS[2], state=None)]
    made, claim = opening(bare[2], every=bare)
    with pytest.raises(ProofError, match="state_digest is missing"):
        check_opened_rows(made, COMMITMENT, claim)
    made, claim = opening(ROWS[2])
    with pytest.raises(ProofError, match="final_state is not the digest in row 2"):
        check_opened_rows(made, COMMITMENT, msgspec.structs.replace(claim, final_state="0" * 64))
    with pytest.raises(ProofError, match="step 2: the run has steps 0 to 1"):
        check_opened_rows(made, COMMITMENT, msgspec.structs.replace(claim, steps=1))


def test_a_leaf_is_under_its_root_alone() -> None:
    leaves = [row.digest() for row in ROWS]
    path, root = merkle.proof(leaves, 1), merkle.root(leaves).hex()
    check_included("it", leaves[1], 1, 3, path, root)
    for leaf, index, size, given, words in (
        (leaves[0], 1, 3, path, "is not under the root"),
        (leaves[1], 0, 3, path, "is not under the root"),
        (leaves[1], 1, 3, path[:-1], "path: "),
        (leaves[1], 3, 3, path, "path: "),
    ):
        with pytest.raises(ProofError, match=words):
            check_included("it", leaf, index, size, given, root)


def test_a_row_has_the_metrics_of_its_step() -> None:
    for row in ROWS:
        check_metrics("it", row)
    for row in (replace(ROWS[0], metrics=bytes(8)), replace(ROWS[1], metrics=bytes(4))):
        with pytest.raises(ProofError, match="metrics: got"):
            check_metrics("it", row)


def test_key_and_indices_are_those_of_the_step() -> None:
    for step, row in enumerate(ROWS):
        check_row(COMMITMENT, step, row)
    for step, row, words in (
        (0, replace(ROWS[0], batch=bytes(32)), "row 0: batch_digest is not that of no records"),
        (0, replace(ROWS[0], key=ROWS[1].key), "row 0: key"),
        (0, replace(ROWS[0], indices=ROWS[1].indices), "row 0: indices"),
        (1, replace(ROWS[1], key=ROWS[2].key), "row 1: key"),
        (1, replace(ROWS[1], indices=ROWS[1].indices[:-1]), "row 1: has 63 indices, expected a batch"),
        (1, replace(ROWS[1], indices=ROWS[2].indices), "row 1: indices"),
    ):
        with pytest.raises(ProofError, match=words):
            check_row(COMMITMENT, step, row)
