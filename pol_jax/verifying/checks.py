"""The stages of a verification that need no replay, in order: 1 to 6. Any failure is a refusal (`ProofError`).

1. limits and names; 2. files against claim; 3. commitment; 4. ledger; 5. keys and order; 6. state digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pol_jax.errors import ProofError
from pol_jax.program.artifact import Program, check_constants
from pol_jax.progress import Progress, Silent, tracked
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol import inventory, merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.encoding import DIGEST_BYTES, Digest, batch_digest
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.reports.curves import Curve
from pol_jax.storage.checked_leaves import CheckedLeaves
from pol_jax.storage.checked_parts import CheckedParts
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.interventions import intervention_name, intervention_steps
from pol_jax.storage.inventory import check_inventory, list_files, read_bounded
from pol_jax.storage.ledger import DIRECTORY, segment_file
from pol_jax.storage.proof import FinishedProof
from pol_jax.storage.seen_digests import SeenDigests
from pol_jax.storage.stored_leaves import open_leaves
from pol_jax.training.inputs import plan
from pol_jax.training.keys import step_keys
from pol_jax.verifying.agreement import check_agreement, check_state_size


@dataclass(frozen=True)
class Checked:
    """A checked proof is one whose files, documents and ledger agree with each other.

    Attributes:
        proof: opened.
        program: loaded.
        records: digests of all records.
    """

    proof: FinishedProof
    program: Program
    records: UInt8[np.ndarray, "records 32"]


def check_names(root: Path, limits: Limits) -> dict[str, int]:
    """Check stage 1: only plain files with names of a proof are there, within limits; return their sizes."""
    sizes = list_files(root, limits)
    # These three tie all other files to the claim; a stage that needs another file misses it by itself (section 2.3).
    for name in (commitments.FILE, claims.FILE, inventory.FILE):
        if name not in sizes:
            raise ProofError(name, "is missing" + ("; is the run finished?" if name != commitments.FILE else ""))
    return sizes


def check_files(
    root: Path, sizes: Mapping[str, int], limits: Limits, progress: Progress | None = None
) -> tuple[Claim, inventory.Inventory]:
    """Check stage 2: the files are those of the inventory, byte for byte, and the claim parses."""
    listed = check_inventory(root, read_bounded(root, inventory.FILE, limits), sizes, progress)
    claim = Claim.parse(read_bounded(root, claims.FILE, limits))
    # One version for all documents of a proof, or rules of two versions could be combined (section 0).
    if listed.format != claim.format:
        raise ProofError(inventory.FILE, f"format: got {listed.format}, and the claim has {claim.format}")
    # Each row costs memory for its digest, so the number is bounded before the ledger is read.
    if claim.steps > limits.steps:
        raise ProofError(claims.FILE, f"steps: {claim.steps}, more than the limit of {limits.steps}")
    return claim, listed


def check_commitment(root: Path, claim: Claim, limits: Limits) -> Checked:
    """Check stage 3: the commitment is the claimed one; programs and records are the committed ones."""
    commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
    claim.check_commitment(commitment)
    check_agreement(commitments.FILE, commitment, claim)
    # Before the programs are loaded: the state's size decides how much memory everything after this takes.
    check_state_size(commitment, limits)
    # From here on the commitment is the claimed one, and everything else is compared with it.
    proof = FinishedProof(root, commitment, claim, limits)
    records, program = proof.records(), proof.program()
    check_constants(program, limits)
    return Checked(proof, program, records)


def check_ledger(
    checked: Checked, claim: Claim, curve: Curve | None = None, progress: Progress | None = None
) -> Checked:
    """Check stage 4: all rows are there, with the digests they must have, under the claimed root.

    Args:
        checked: passed stage 3.
        claim: its claim.
        curve: takes the losses of the rows.
        progress: told of the rows.

    Returns:
        The same, whose proof compares all that it reads from now on with the digests that were seen here.
    """
    proof = checked.proof
    schedule, leaves, states = proof.commitment.schedule, list[Digest](), dict[int, Digest]()
    parts = CheckedParts()
    _check_segment_files(proof)
    for row in tracked(progress or Silent(), "reading the ledger", _rows_kept_in(parts, proof), claim.steps + 1):
        where = segment_file(proof.segments.of_step(row.step))
        # A missing digest would leave a step without a state to be compared with; one too many is a second form of one
        # row.
        if (row.state is not None) != schedule.has_witness(row.step, claim.steps):
            raise ProofError(
                where, f"row {row.step}: state_digest {'is missing' if row.state is None else 'must be missing'}"
            )
        if problem := row.metrics_problem:
            raise ProofError(where, f"row {row.step}: {problem}")
        # Of other steps no state is stored that could be compared with its digest later.
        if row.state is not None and schedule.has_checkpoint(row.step, claim.steps):
            states[row.step] = row.state
        leaves.append(row.digest())
        if curve:
            curve.add(row.step, row.loss)
    # The root comes last: what is wrong with a single row is a clearer reason than another root.
    if merkle.root(leaves).hex() != claim.ledger_root:
        raise ProofError(DIRECTORY, "its Merkle root is not the claimed one")
    if states[claim.steps].hex() != claim.final_state:
        raise ProofError(claims.FILE, f"final_state is not the digest in row {claim.steps} of the ledger")
    # Files may change while they are verified (section 13). From here on, whatever is read is compared with this.
    return replace(checked, proof=replace(proof, seen=SeenDigests(0, b"".join(leaves), states), parts=parts))


def _rows_kept_in(parts: CheckedParts, proof: FinishedProof) -> Iterator[Row]:
    """Yield all rows, as they are read, and keep them."""
    for segment in range(len(proof.segments)):
        rows = list(proof.rows_of(segment))
        parts.put_rows(segment, rows)
        yield from rows


def check_inputs(
    proof: FinishedProof, claim: Claim, records: UInt8[np.ndarray, "records 32"], progress: Progress | None = None
) -> None:
    """Check stage 5: keys, record indices and batch digests of every row are what the commitment gives."""
    commitment = proof.commitment
    # Read again, where they did not all fit into memory, and compared with the digests that stage 4 saw.
    rows = proof.rows()
    first = next(rows)
    # Row 0 is the initial state: a key, and no records (section 5).
    key = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0]
    _check_row(proof, first, key, np.empty(0, np.uint64), records)
    planned = zip(rows, plan(commitment, 1, claim.steps + 1), strict=True)
    for row, (_, key, indices) in tracked(progress or Silent(), "deriving keys and order", planned, claim.steps):
        _check_row(proof, row, key, indices, records)


def check_states(
    proof: FinishedProof,
    observe: Callable[[int, Sequence[np.ndarray]], None] | None = None,
    progress: Progress | None = None,
) -> list[int]:
    """Check stage 6: the first and last checkpoint are there, and each has the digest that the ledger says.

    Args:
        proof: passed stage 4.
        observe: shown each step and state, in order, once it was checked.
        progress: told of the checkpoints.

    Returns:
        The steps whose checkpoints are there, ascending.
    """
    assert proof.seen is not None  # noqa: S101  # it passed stage 4
    states, steps = proof.seen.states, proof.checkpoints()
    # Without these two, nothing shows where the run begins and ends; others may be thinned out (section 10).
    for step in sorted({0, proof.segments.steps} - set(steps)):
        raise ProofError(checkpoint_name(step), "is missing")
    for step in sorted(set(steps) - states.keys()):
        raise ProofError(checkpoint_name(step), "is not a checkpoint of the schedule")
    for step in tracked(progress or Silent(), "digesting checkpoints", steps, len(steps)):
        stored = open_leaves(proof.root, checkpoint_name(step), proof.commitment.state)
        # Leaf by leaf: a state may be larger than the memory that is left.
        leaves = CheckedLeaves(stored) if observe else None  # without an observer, no leaf is needed whole
        digest = stored.digest() if leaves is None else leaves.digest()
        # The ledger is under the claim's root since stage 4, so its digest is the measure and not the file.
        if digest != states[step]:
            raise ProofError(checkpoint_name(step), f"its state is not the one in row {step} of the ledger")
        if observe and leaves is not None:
            observe(step, leaves)
            if proof.parts:
                proof.parts.put_state(step, leaves, nbytes(proof.commitment.state))
    _check_interventions(proof)
    return steps


def _check_interventions(proof: FinishedProof) -> None:
    """Refuse other interventions than those of the claim, whose leaves are read here."""
    claimed = {each.after for each in proof.claim.interventions}
    for step in sorted(set(intervention_steps(proof.root)) - claimed):
        raise ProofError(intervention_name(step), "is no intervention that the claim names")
    # Reading one compares its leaves with the digest in the claim.
    for step in sorted(claimed):
        proof.changes(step)


def check_files_to_states(root: Path, limits: Limits) -> Checked:
    """Check stages 1 to 6 in one go; a prover does so with what it has just written.

    Raises:
        ProofError: the first check that fails.
    """
    claim, _ = check_files(root, check_names(root, limits), limits)
    checked = check_commitment(root, claim, limits)
    checked = check_ledger(checked, claim)
    check_inputs(checked.proof, claim, checked.records)
    check_states(checked.proof)
    return checked


def _check_segment_files(proof: FinishedProof) -> None:
    found = (f"{DIRECTORY}/{path.name}" for path in (proof.root / DIRECTORY).glob("*"))
    stored = {name for name in found if not inventory.is_beside(name)}
    # No more names are made than there are files: a claim may have as many segments as it has steps. A missing segment
    # is met when its rows are read.
    expected = {segment_file(segment) for segment in range(len(stored) + 1) if segment < len(proof.segments)}
    for name in sorted(stored - expected):
        raise ProofError(
            name, f"is not expected: the ledger of {proof.segments.steps} steps has {len(proof.segments)} segments"
        )


def _check_row(
    proof: FinishedProof, row: Row, key: np.ndarray, indices: np.ndarray, records: UInt8[np.ndarray, "records 32"]
) -> None:
    where = segment_file(proof.segments.of_step(row.step))
    # Little-endian words, whatever this machine's order is (section 5).
    if row.key != key.astype("<u4").tobytes():
        raise ProofError(where, f"row {row.step}: key is not the one that the commitment gives")
    if not np.array_equal(row.indices, indices):
        raise ProofError(where, f"row {row.step}: indices are not those that the commitment gives")
    chosen = records[indices.astype(np.int64)].tobytes()
    digests = (chosen[at : at + DIGEST_BYTES] for at in range(0, len(chosen), DIGEST_BYTES))
    if row.batch != batch_digest(digests):
        raise ProofError(where, f"row {row.step}: batch_digest is not that of its records")
