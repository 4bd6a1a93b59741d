"""A coordinator takes a worker's update only with a proof that it was trained as assigned.

What costs nothing is checked first: claim and commitment against the assignment, and the update's arrays. Only what
agrees with all of it is read whole, in the confined process of every verification, where the update is held against
the final state before anything is replayed.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pol_jax.errors import PolError, ProofError, UsageError, printable
from pol_jax.judging.finiteness import non_finite_leaves
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import Policy, RandomSegments, RandomSteps, StepPolicy
from pol_jax.protocol.trees import PyTree
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.notices import first_reason
from pol_jax.sandbox.apart import verify_opening_apart, verify_proof_apart
from pol_jax.sandbox.bounds import Bounds
from pol_jax.storage.run import check_finished
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.task import Source, Task
from pol_jax.verifying.final_state import final_leaves
from pol_jax.verifying.request import FinalLeaf, OpeningRequest, ProofRequest, absolute_path, fresh_nonce
from pol_jax.workers.assignment import Assignment
from pol_jax.workers.documents import Expectation, check_update_documents, expect
from pol_jax.workers.limits import limits_of
from pol_jax.workers.trusted_task import TrustedTask

ProofOrOpening: TypeAlias = Path | str | tuple[Path | str, Path | str]
"""This is a proof's directory; or a directory with ``claim.json`` and ``commitment.json``, and an opening's file."""

BOUNDS = Bounds(silence_seconds=300, total_seconds=1800)
"""A verification has these bounds, unless the coordinator says otherwise: no worker holds it up longer."""


@dataclass(frozen=True)
class UpdateResult:
    """A result says what a coordinator knows of an update; its truth value is "accepted".

    Attributes:
        verdict: accepted, rejected or inconclusive; only an accepted update may be aggregated.
        reason: why, in one line.
        steps: how many steps were assigned.
        replayed: how many of them this verification executed again.
        report: of the verification; None if the update was refused without one.
    """

    verdict: Verdict
    reason: str
    steps: int
    replayed: int = 0
    report: Report | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        """Return whether the update is accepted."""
        return self.verdict is Verdict.ACCEPTED


def verify_update(
    previous: PyTree,
    update: PyTree,
    proof: ProofOrOpening,
    assignment: Assignment,
    *,
    trusted: Task | TrustedTask,
    policy: Policy | StepPolicy | None = None,
    source: Source | None = None,
    nonce: bytes | None = None,
    secret: bytes | None = None,
    seen: Container[str] = (),
    bounds: Bounds = BOUNDS,
    exact: bool = False,
) -> UpdateResult:
    """Check that a worker's update is what it was assigned to train.

    Nothing that a worker sends raises an error, holds the coordinator up, or takes more memory than an honest answer.

    Args:
        previous: the global model that was sent out, nested as the task's state is.
        update: what the worker returned, likewise: the leaves that it took over, as they are after the last step.
        proof: the directory of its proof; or a directory with its claim and commitment, and the file of its opening,
            for a coordinator who has no copy of the worker's records.
        assignment: what this worker was asked for in this round.
        trusted: the task, whose program the proof must have. A `TrustedTask` is exported only once.
        policy: what to replay; None for random segments or steps, 99% sure to meet a false one if 5% are false.
        source: the coordinator's copy of the worker's records, for a proof; None for those of the trusted task.
        nonce: decides the draw. For an opening, that of the challenge; for a proof, None for a fresh one.
        secret: 32 bytes that salt the records of a worker whose data are salted.
        seen: hex digests of the claims that were handed in before.
        bounds: on the process that reads the proof.
        exact: accept nothing within a tolerance: what has other bits here is inconclusive.

    Raises:
        UsageError: the call itself is wrong: the policy is not for this kind of proof, the global model has nothing to
            take over, or an opening comes without the nonce of its challenge.
        TaskError: the trusted task breaks its contract.
    """
    asked = _UpdateRequest(policy, nonce, exact, assignment.prover, isinstance(proof, tuple))
    trusted = trusted if isinstance(trusted, TrustedTask) else TrustedTask(trusted)
    expected = expect(trusted, assignment, previous)
    root, opening = map(Path, proof) if isinstance(proof, tuple) else (Path(proof), None)
    limits, check = limits_of(expected), partial(_check_files, root, opening, update, expected, seen)
    try:
        claim, final = check()
        try:
            if opening is not None:
                request = asked.of_opening(root, opening, limits, final)
                report = verify_opening_apart(request, trusted=lambda *_: expected.programs, bounds=bounds)
            else:
                records = trusted.task.source if source is None else source
                proof_request = asked.of_proof(root, secret, limits, final)
                report = verify_proof_apart(proof_request, records, trusted=lambda *_: expected.programs, bounds=bounds)
        except UsageError:
            check()  # the worker may have exchanged its files since: then they are wrong, and the call is not
            raise
    except _WrongFiles as refused:
        return UpdateResult(Verdict.REJECTED, str(refused), assignment.steps)
    return _result(report, claim, assignment)


class _WrongFiles(Exception):
    """What a worker handed in is refused without a report; the text says why."""


def _check_files(
    root: Path, opening: Path | None, update: PyTree, expected: Expectation, seen: Container[str]
) -> tuple[Claim, tuple[FinalLeaf, ...]]:
    """Check what costs no process, for an opening or a proof.

    Raises:
        _WrongFiles: something is wrong.
    """
    try:
        found = check_claim(root, update, expected, seen)
        if opening is None:
            check_finished(root)  # elsewhere that is a mistake of the call; here a worker handed it in
        elif not opening.is_file():
            raise ProofError("opening", "is missing")
    except PolError as error:
        raise _WrongFiles(str(error)) from error
    return found


def check_claim(
    root: Path, update: PyTree, expected: Expectation, seen: Container[str] = ()
) -> tuple[Claim, tuple[FinalLeaf, ...]]:
    """Check what costs no replay and no process: this comes before a challenge, too.

    Args:
        root: a directory with the worker's claim and commitment.
        update: what the worker returned.
        expected: what is known of its proof.
        seen: hex digests of the claims that were handed in before.

    Returns:
        The claim, and what to ask of the final state, so that it has this update.

    Raises:
        PolError: the update can't be accepted, whatever the proof is; the text says why.
    """
    claim = check_update_documents(root, expected, limits_of(expected))
    # An update that counts twice would weigh twice, however true its proof is.
    if claim.digest().hex() in seen:
        raise ProofError("claim", "was handed in before")
    return claim, check_update(update, expected)


def check_update(update: PyTree, expected: Expectation) -> tuple[FinalLeaf, ...]:
    """Return what to ask of the final state, so that it has this update.

    Raises:
        ProofError: the update is not made of leaves of the state, lacks one that was assigned, or is not finite.
    """
    state = expected.commitment.state
    try:
        arrays = {path: np.asarray(value) for path, value in flatten_with_paths(update)}
        final = final_leaves(update, state)
    except (PolError, TypeError, ValueError, RecursionError, SystemError) as error:  # jax raises the last for depth
        raise ProofError("update", printable(str(error)) or type(error).__name__) from None
    for path in expected.commitment.initial.leaves:
        if path not in arrays:
            raise ProofError("update", f"leaf {path or '/'} is missing")
    spec = tuple(leaf for leaf in state if leaf.path in arrays)
    # One NaN would make NaN of the mean over all workers.
    for leaf in non_finite_leaves(spec, [arrays[leaf.path] for leaf in spec]):
        raise ProofError("update", f"leaf {leaf.path or '/'} has a NaN or an infinity, which nobody can aggregate")
    return final


class _UpdateRequest:
    """The coordinator asks this of a proof or of an opening, whatever the worker sends."""

    def __init__(
        self,
        policy: Policy | StepPolicy | None,
        nonce: bytes | None,
        exact: bool,
        signer: str | None,
        opening: bool,
    ) -> None:
        policy = policy or (RandomSteps() if opening else RandomSegments())
        if isinstance(policy, StepPolicy) != opening:
            unit, found = ("segments", "an opening") if opening else ("steps", "a proof")
            raise UsageError(f"policy: is about {unit}, and this is {found}; give one of the other kind")
        if opening and nonce is None:
            raise UsageError("nonce: an opening answers a challenge; give the nonce of that challenge")
        self._policy: Any = policy
        self._nonce, self._exact = fresh_nonce() if nonce is None else nonce, exact
        self._signer = signer

    def of_proof(self, root: Path, secret: bytes | None, limits: Limits, final: tuple[FinalLeaf, ...]) -> ProofRequest:
        return ProofRequest(path=absolute_path(root), secret=secret, **self._of_all(limits, final))

    def of_opening(self, root: Path, opening: Path, limits: Limits, final: tuple[FinalLeaf, ...]) -> OpeningRequest:
        claim = absolute_path(root / claims.FILE)
        return OpeningRequest(claim=claim, opening=absolute_path(opening), **self._of_all(limits, final))

    def _of_all(self, limits: Limits, final: tuple[FinalLeaf, ...]) -> dict[str, Any]:
        """Return what a request has of a proof and of an opening alike."""
        return {
            "policy": self._policy,
            "nonce": self._nonce,
            "limits": limits,
            # Another program would be another training than the assigned one, however well it was proven.
            "same_program": True,
            "exact": self._exact,
            "final": final,
            "signer": self._signer,
        }


def _result(report: Report, claim: Claim, assignment: Assignment) -> UpdateResult:
    """Return what a report says about the update whose claim was checked against the assignment."""
    verdict, reason = report.verdict, first_reason(report)
    # The files are the worker's, and may have been exchanged after they were held against the assignment.
    if report.claim not in (None, claim.digest().hex()):
        verdict, reason = Verdict.REJECTED, "claim: is another one than that which was compared with the assignment"
    return UpdateResult(verdict, reason, assignment.steps, replayed_steps(report), report)


def replayed_steps(report: Report) -> int:
    """Return how many steps a verification executed again, the self-test and comparisons included."""
    ran = [*([report.self_test] if report.self_test else []), *report.replays]
    spans = [each.executed for each in ran] + [each.span for each in report.compared if not each.is_initial]
    return sum(len(span.steps) for span in spans)
