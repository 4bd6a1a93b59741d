"""The rows of an opening are in the claimed ledger, and each has what a row of its step must have (section 14).

What breaks a rule is a `ProofError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import Digest, batch_digest
from pol_jax.protocol.opening import OpenedRow, Opening
from pol_jax.protocol.rows import Row, RowLayout, decode_row
from pol_jax.training.inputs import plan
from pol_jax.training.keys import step_keys

WHERE = "opening"


def check_opened_rows(opening: Opening, commitment: Commitment, claim: Claim) -> dict[int, Row]:
    """Check stage 4: every row is in the claimed ledger, and has what a row of its step must have."""
    rows: dict[int, Row] = {}
    for where, opened, row in _decoded_rows(opening, commitment.row_layout):
        _check_in_ledger(where, opened, row, claim)
        rows[row.step] = row
        if (row.state is not None) != commitment.schedule.has_witness(row.step, claim.steps):
            raise ProofError(WHERE, f"{where}: state_digest {'is missing' if row.state is None else 'must be missing'}")
        check_metrics(where, row)
    if claim.steps in rows and (rows[claim.steps].state or b"").hex() != claim.final_state:
        raise ProofError(WHERE, f"the claim's final_state is not the digest in row {claim.steps}")
    return rows


def decode_opened_rows(opening: Opening, layout: RowLayout) -> dict[int, Row]:
    """Decode the rows, by step, if they ascend. This doesn't check that they are in a ledger: that takes the claim."""
    return {row.step: row for _, _, row in _decoded_rows(opening, layout)}


def check_metrics(where: str, row: Row) -> None:
    """Refuse a row without the metrics of its step; row 0 has none."""
    if problem := row.metrics_problem:
        raise ProofError(WHERE, f"{where}: {problem}")


def _decoded_rows(opening: Opening, layout: RowLayout) -> Iterator[tuple[str, OpenedRow, Row]]:
    """Yield each row with its place, decoded: one at a time, so that the first that is wrong in any way is named."""
    before = -1
    for at, opened in enumerate(opening.rows):
        where, row = f"rows[{at}]", decode_row(opened.row, layout)
        if row is None:
            raise ProofError(WHERE, f"{where}: is no row")
        # Ascending, so that nothing occurs twice and an opening has one form only (section 14).
        if row.step <= before:
            raise ProofError(WHERE, f"{where}: step {row.step} is not after the one before")
        before = row.step
        yield where, opened, row


def _check_in_ledger(where: str, opened: OpenedRow, row: Row, claim: Claim) -> None:
    # The row says its place in the tree and the claim how large that is: a root says nothing about either (section 6).
    if row.step > claim.steps:
        raise ProofError(WHERE, f"{where}: step {row.step}: the run has steps 0 to {claim.steps}")
    check_included(where, row.digest(), row.step, claim.steps + 1, opened.path, claim.ledger_root)


def check_included(where: str, leaf: Digest, index: int, size: int, path: Sequence[Digest], root: str) -> None:
    """Refuse a leaf that its inclusion proof does not lead to the root of the tree (section 6)."""
    try:
        found = merkle.root_from_proof(leaf, index, size, path)
    except ValueError as error:
        raise ProofError(WHERE, f"{where}: path: {error}") from None
    if found.hex() != root:
        raise ProofError(WHERE, f"{where}: is not under the root: its inclusion proof gives another one")


def check_row(commitment: Commitment, step: int, row: Row) -> None:
    """Refuse a row whose key or indices are not those that the commitment gives for its step (stage 5)."""
    if step == 0:
        key, indices = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0], np.empty(0, np.uint64)
        if row.batch != batch_digest([]):
            raise ProofError(WHERE, "row 0: batch_digest is not that of no records")
    elif len(row.indices) != commitment.schedule.batch_size:
        raise ProofError(WHERE, f"row {step}: has {len(row.indices)} indices, expected a batch")
    else:
        # The order is a keyed permutation (section 8), so that one step is planned without the others.
        ((_, key, indices),) = plan(commitment, step, step + 1)
    if row.key != key.astype("<u4").tobytes():
        raise ProofError(WHERE, f"row {step}: key is not the one that the commitment gives")
    if not np.array_equal(row.indices, indices):
        raise ProofError(WHERE, f"row {step}: indices are not those that the commitment gives")
