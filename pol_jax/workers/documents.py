"""A worker's commitment and claim are held against its assignment: this takes milliseconds, and replays nothing.

An assignment leaves nothing open, so that the coordinator knows the whole commitment beforehand, but for the bytes of
the programs: another jax may write the same program down in another way. Those are compared when they are there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pol_jax.attesting import folder
from pol_jax.attesting.attestation import check_document, read_attestation
from pol_jax.errors import ProofError
from pol_jax.program.artifact import Artifacts
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, DataCommitment, ProgramCommitment
from pol_jax.protocol.differences import differing_fields
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.commit import commitment_of
from pol_jax.proving.fine_tuning import Start, choose_leaves
from pol_jax.storage.inventory import read_bounded
from pol_jax.verifying.trusted_program import Expected
from pol_jax.workers.assignment import Assignment
from pol_jax.workers.trusted_task import TrustedTask

_MEANINGS = {
    "nonce": "the seed is of another round or another worker",
    "initial": "it starts from other weights than those that were sent out",
    "data": "it was trained on other data than this worker registered",
    "prover": "it is in the name of another key than that of this worker",
    "schedule": "it has another number of steps, batch size or interval than assigned",
    "program": "it returns other metrics than the task",
    "state": "its state is not that of the task",
    "beacon": "it names a beacon, which was not assigned",
    "task": "it describes another task",
    "format": "it has another format",
}
"""These say what it means that a part of a commitment is not the expected one; the first of them is told first."""

_RANKS = list(_MEANINGS)


@dataclass(frozen=True)
class Expectation:
    """An expectation is what a coordinator knows of a proof before it has seen it.

    Attributes:
        commitment: of a proof that follows the assignment.
        steps: how many it has.
        artifacts: the programs of the trusted task.
        programs: what a proof with these programs has.
    """

    commitment: Commitment
    steps: int
    artifacts: Artifacts
    programs: Expected


def expect(trusted: TrustedTask, assignment: Assignment, previous: PyTree) -> Expectation:
    """Return what a proof that follows the assignment has.

    Raises:
        UsageError: the global model has nothing of what the worker is to take over.
        TaskError: the task breaks its contract.
    """
    export = trusted.export(assignment)
    signature, data = export.signature, assignment.data
    initial, _ = choose_leaves(Start(previous, assignment.take), signature.state)
    commitment = commitment_of(
        assignment.of_task(trusted.task),
        assignment.steps,
        assignment.choices(previous),
        signature,
        ProgramCommitment(*export.expected.artifacts, metrics=signature.metrics, loss=signature.loss),
        DataCommitment(data.root, data.records, signature.record, data.salted),
        initial,
    )
    return Expectation(commitment, assignment.steps, export.artifacts, export.expected)


def check_update_documents(root: Path, expected: Expectation, limits: Limits) -> Claim:
    """Return the claim in a directory, if it and the commitment beside it are what was asked for.

    Raises:
        ProofError: one is missing or malformed, or something else was trained; the text says what.
    """
    claim = Claim.parse(read_bounded(root, claims.FILE, limits))
    commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
    claim.check_commitment(commitment)
    found = differing_fields(commitment, expected.commitment)
    differing = [each for each in found if each[0] not in ("program.init", "program.step")]
    # The first of them is told: it says most about what went wrong.
    for name, theirs, ours in sorted(differing, key=lambda each: _rank(each[0])):
        meaning = _MEANINGS.get(_part(name), "it was not assigned")
        raise ProofError(commitments.FILE, f"{meaning}: {name} is {theirs}, expected {ours}")
    if claim.steps != expected.steps:
        raise ProofError(claims.FILE, f"trained {claim.steps} steps, expected {expected.steps}")
    if expected.commitment.prover is not None:
        check_signature(root, claim, expected.commitment.prover, limits)
    for intervention in claim.interventions:  # nothing of it was assigned, whatever the prover's reason is
        raise ProofError(claims.FILE, f"it changed the state from outside after step {intervention.after}")
    return claim


def check_signature(root: Path, claim: Claim, key: str, limits: Limits) -> None:
    """Check that a worker has signed its claim.

    Raises:
        ProofError: it has not, or another key has signed, or another claim was signed.
    """
    where = folder.where(folder.CLAIM)
    if folder.find(root, folder.CLAIM) is None:
        raise ProofError(where, f"is missing: the claim must be signed by {key}")
    # Of files beside a proof, `total_bytes` is the only limit; an envelope is hardly larger than what it holds.
    signed = read_bounded(root, where, replace(limits, total_bytes=2 * limits.document_bytes))
    check_document(read_attestation(signed, "claim", where=where, pinned=key), claim.encode(), where)


def _rank(name: str) -> int:
    """Return the place at which a field is told; one without a meaning of its own comes last."""
    return _RANKS.index(_part(name)) if _part(name) in _RANKS else len(_RANKS)


def _part(name: str) -> str:
    """Return the part of a commitment that a field belongs to, such as "data" of ``data.root``."""
    return name.partition(".")[0].partition("[")[0]
