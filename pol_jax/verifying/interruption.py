"""What a report says where a verification has not begun, or was ended by an error: for proofs and for openings alike.

A proof or an opening that is found to be damaged is rejected. Anything else is the verifier's affair: a machine that
can't read or execute something, or records that are not the committed ones. It leaves the verdict open.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from pol_jax.errors import BackendError, DataError, ProofError
from pol_jax.judging.verdict import Judgement
from pol_jax.program.machine import current_environment
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.verifying.request import OpeningRequest, ProofRequest

Interruption: TypeAlias = ProofError | DataError | BackendError
"""Errors that end a verification with a report; any other is raised to the caller."""


def empty_report(request: ProofRequest | OpeningRequest) -> Report:
    """Return the report that answers a request as long as no stage is reached, and nothing is found."""
    return Report.unfinished(
        request.policy, request.nonce, current_environment(), exact=request.exact, leaves=request.leaves
    )


def interrupted(report: Report, stage: Stage, error: Interruption) -> Report:
    """Return the report on a verification that an error ended in this stage."""
    verdict, outcome = _says(error)
    report = report.with_stage(stage, outcome, str(error))
    return replace(report, verdict=verdict, reasons=(_reason(stage, error),))


def interrupted_replay(error: Interruption, initial: Outcome) -> Judgement:
    """Return the judgement on a replay that an error ended.

    Args:
        error: that ended it.
        initial: the outcome of the stage of the initial state, which is judged together with the replay.
    """
    verdict, outcome = _says(error)
    return Judgement(verdict, (_reason(Stage.REPLAY, error),), initial, outcome, str(error))


def _says(error: Interruption) -> tuple[Verdict, Outcome]:
    if isinstance(error, ProofError):
        return Verdict.REJECTED, Outcome.FAILED
    # Else a verifier with little memory, or with other records, would reject an honest proof.
    return Verdict.INCONCLUSIVE, Outcome.INCONCLUSIVE


def _reason(stage: Stage, error: Interruption) -> str:
    if isinstance(error, ProofError):
        return f"{stage}: {error}"
    what = "with these records" if isinstance(error, DataError) else "here"
    return f"{stage}: cannot judge {what}: {error}"
