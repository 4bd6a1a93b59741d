"""Verification in a process of its own: a proof that crashes a parser or never ends can't take the caller along.

Parquet, StableHLO and Orbax files are read by native libraries, and the program that is replayed is the prover's. The
child has none of the caller's objects, and may open no files but those that it needs: it asks for records over a pipe.
If it dies or falls silent, the verdict is inconclusive.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict
from math import inf
from pathlib import Path
from time import monotonic

import numpy as np

from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress, Silent
from pol_jax.protocol.challenge import Policy, RandomSegments, StepPolicy, check_policy
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import FORMAT
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.stages import Stage
from pol_jax.reports.report import Origin, Outcome, Report, StageResult, Verdict
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.messages import Request
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.pool_workers import check_jobs
from pol_jax.sandbox.process import Lost, started
from pol_jax.storage.proof import find_claim
from pol_jax.training.records import Arrays
from pol_jax.training.task import Source, Task
from pol_jax.verifying import proof_verifier as verifier
from pol_jax.verifying.trusted_program import trust


def verify(
    path: Path | str,
    source: Source | Callable[[Commitment], Source] | None = None,
    *,
    policy: Policy | None = None,
    nonce: bytes | None = None,
    limits: Limits | None = None,
    secret: bytes | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
    trusted: Task | Callable[[Commitment, int], Task] | None = None,
    same_program: bool = False,
    jobs: int = 1,
    d_ref: float | None = None,
    parents: Iterable[Path | str] = (),
) -> Report:
    """Check a proof and replay a part of it, in a process of its own.

    Args:
        path: the proof's directory.
        source: the training records, from where the verifier trusts them; only challenged ones are read. A function
            is asked for them once stages 1 to 6 are passed, and for those of each of ``parents``. None for those of the
            built-in task that a proof names.
        policy: which segments to replay; None for random ones, 99% sure to meet a false segment if 5% are false.
        nonce: decides the draw; None for a fresh one, which the prover can't have foreseen.
        limits: bounds on what is read.
        secret: 32 bytes that salt the records of a private data set.
        progress: told of the stages and of the replayed steps.
        bounds: on the process.
        trusted: source that the verifier trusts: the task, or a function that returns it for a commitment and a number
            of steps. Its export, made in the caller's process, is compared with the proof's program; the report says
            what came out.
        same_program: accept no other program than that of ``trusted``, in ``parents`` neither.
        parents: directories of proofs that the initial state may come from; those that it does come from are verified
            in the same way first.
        jobs: how many processes replay at the same time; the report is the same. Worth it where a step leaves
            processors idle; each takes memory for two states.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too.

    Raises:
        UsageError: no proof there, no records, or a policy that would check nothing.
    """
    bounds = bounds or Bounds()
    request = Request(
        path=str(Path(path).absolute()),
        policy=check_policy(policy or RandomSegments()),
        nonce=secrets.token_bytes(16) if nonce is None else nonce,
        limits=asdict(limits or Limits()),
        secret=secret,
        memory_bytes=bounds.memory_bytes,
        compare=trusted is not None,
        same_program=same_program,
        jobs=check_jobs(jobs),
        d_ref=d_ref,
        parents=tuple(str(Path(parent).absolute()) for parent in parents),
    )
    caller = Caller(
        request,
        verifier.built_in_source() if source is None else source,
        progress or Silent(),
        None if trusted is None else trust(trusted),
    )
    return _converse(request, caller, bounds)


def verify_opening(
    claim: Path | str,
    opening: Path | str,
    policy: StepPolicy,
    nonce: bytes = b"",
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
    d_ref: float | None = None,
    jobs: int = 1,
) -> Report:
    """Check an opening against a claim, and replay the challenged steps, in a process of its own.

    Args:
        claim: ``claim.json``, or a directory that has one.
        opening: what ``pol open`` wrote.
        policy: the challenge that the prover was given; never read from the opening.
        nonce: of the challenge; nothing, for a list.
        limits: bounds on what is read.
        progress: told of the stages and of the replayed steps.
        bounds: on the process.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too.
        jobs: how many processes replay at the same time; each reads the opening.

    Raises:
        UsageError: a file is not there, or the policy would check nothing.
    """
    bounds = bounds or Bounds()
    request = Request(
        path=str(find_claim(Path(claim)).absolute()),
        opening=str(Path(opening).absolute()),
        policy=policy,
        nonce=nonce,
        limits=asdict(limits or Limits()),
        secret=None,
        memory_bytes=bounds.memory_bytes,
        d_ref=d_ref,
        jobs=check_jobs(jobs),
    )
    return _converse(request, Caller(request, Arrays(np.empty(0)), progress or Silent(), None), bounds)


def _converse(request: Request, caller: Caller, bounds: Bounds) -> Report:
    """Start a child, answer what it asks, until there is a report; or until it is lost."""
    end = inf if bounds.total_seconds is None else monotonic() + bounds.total_seconds
    readable = [request.path, *request.parents, *([] if request.opening is None else [request.opening])]
    try:
        with started(readable, bounds.confined, processes=request.jobs > 1) as child:
            child.send(request, end)
            while caller.report is None:
                answer = caller.hear(child.receive(bounds, end))
                if answer is not None:
                    child.send(answer, end)
    except Lost as lost:
        return _undecided(request, caller.stage, str(lost))
    return caller.report


def _undecided(request: Request, reached: Stage, what: str) -> Report:
    """The report on a verification whose process did not get to one."""
    seen = f"the process that reads the proof {what}"
    outcomes = {stage: Outcome.PASSED if stage.value < reached.value else Outcome.NOT_REACHED for stage in Stage}
    outcomes[reached] = Outcome.INCONCLUSIVE
    return Report(
        format=FORMAT,
        verdict=Verdict.INCONCLUSIVE,
        reasons=(f"{reached}: cannot judge here: {seen}",),
        stages=tuple(
            StageResult.of(stage, outcome, seen if stage is reached else "") for stage, outcome in outcomes.items()
        ),
        claim=None,
        commitment=None,
        task=None,
        nonce=request.nonce.hex(),
        policy=request.policy,
        coverage=None,
        self_test=None,
        replays=(),
        curve=(),
        updates=(),
        claimed_environment=None,
        environment=current_environment(),
        program_origin=Origin.NOT_COMPARED,
        compared=(),
        drift=None,
        provenance=None,
        ancestors=(),
        initial_test=None,
    )
