"""The child's side of `pol_jax.sandbox.verify`: serves one request, with bounds on what it may do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from pol_jax.errors import PolError
from pol_jax.protocol.challenge import StepPolicy
from pol_jax.protocol.limits import Limits
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import limit_resources
from pol_jax.sandbox.messages import Done, Failed, Hired, Request
from pol_jax.sandbox.pipe import Telling, end_with
from pol_jax.sandbox.pool import Crew, share_spans
from pol_jax.verifying import opening_verifier
from pol_jax.verifying import proof_verifier as verifier


def serve(handle: int, caller: int, unrestricted: Sequence[str]) -> None:
    """Serve one request on an inherited pipe; what runs in the child.

    Args:
        handle: of the pipe.
        caller: process that asked; when it is gone, so is the child.
        unrestricted: what the child could do although it should not (`pol_jax.sandbox.confinement.confine`).
    """
    end_with(caller)
    with Connection(handle) as connection:
        telling = Telling(connection)
        request = telling.receive(Request)
        limit_resources(request.memory_bytes)
        try:
            report = _with_remarks(_report(request, telling), unrestricted)
            telling.say(Done(msgspec.json.encode(report)))
        except PolError as error:
            telling.say(Failed(type(error).__name__, str(error)))


def _report(request: Request, telling: Telling) -> Report:
    limits, policy = Limits(**request.limits), request.policy
    if isinstance(policy, StepPolicy):
        claim, opening = Path(request.path), Path(request.opening or "")
        order = Hired(request.path, "", request.limits, opening=request.opening)
        return opening_verifier.verify_opening(
            claim,
            opening,
            policy,
            request.nonce,
            limits=limits,
            progress=telling,
            replay=partial(share_spans, order=order, jobs=request.jobs),
            d_ref=request.d_ref,
        )
    return verifier.verify(
        request.path,
        telling.find,
        policy=policy,
        nonce=request.nonce,
        limits=limits,
        secret=request.secret,
        trusted=telling.expect if request.compare else None,
        same_program=request.same_program,
        parents=request.parents,
        progress=telling,
        replayer=partial(Crew, jobs=request.jobs),
        d_ref=request.d_ref,
    )


def _with_remarks(report: Report, remarks: Sequence[str]) -> Report:
    """The report, with remarks on this machine where it says what was read."""
    first, *others = report.stages
    first = msgspec.structs.replace(first, detail="; ".join([first.detail, *remarks]))
    return msgspec.structs.replace(report, stages=(first, *others))
