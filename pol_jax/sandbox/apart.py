"""A request is answered by a process apart: a proof that crashes a parser or never ends can't take the caller along.

Parquet, StableHLO and Orbax files are read by native libraries, and the program that is replayed is the prover's. The
child has none of the caller's objects, and may open no files but those that it needs: it asks for records over a pipe.
If it dies or falls silent, the verdict is inconclusive.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from time import monotonic

from pol_jax.attesting.folder import DIRECTORY
from pol_jax.errors import BackendError
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.early_export import begin_export
from pol_jax.sandbox.memory import memory_of_opening, memory_of_proof
from pol_jax.sandbox.messages import Setup, decode_from_child
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.process import ProcessLost
from pol_jax.sandbox.starting import child_process
from pol_jax.sandbox.virtual_devices import needs_gloo
from pol_jax.storage.inventory import find_claim
from pol_jax.training.sources import SourceOrFinder
from pol_jax.verifying.facts import Facts, Share
from pol_jax.verifying.interruption import empty_report, interrupted
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import Trusted


def verify_proof_apart(
    request: ProofRequest,
    source: SourceOrFinder,
    *,
    trusted: Trusted | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
    facts: Facts | None = None,
) -> Report:
    """Answer a request about a proof in a process of its own; for arguments and errors see `pol_jax.verify`.

    Where there are ``facts`` of shards, they take the place of what would be executed.
    """
    if trusted is not None:
        # The export takes seconds and is the verifier's own code, so it runs here while the child starts.
        trusted = begin_export(trusted, Path(request.path), request.limits)
    caller = Caller(request, source, progress or Silent(), trusted)
    bounds = bounds or Bounds()
    # The limit is computed here, from documents of bounded size: the child must not choose its own.
    setup = Setup(request, trusted is not None, memory_of_proof(request, bounds), facts=facts)
    return _report(setup, caller, [request.path, *request.parents, *_model(request)], bounds)


def verify_opening_apart(
    request: OpeningRequest,
    *,
    trusted: Trusted | None = None,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
) -> Report:
    """Answer a request about an opening in a process of its own; see `pol_jax.verify_opening`."""
    bounds = bounds or Bounds()
    caller = Caller(request, None, progress or Silent(), trusted)
    setup = Setup(request, trusted is not None, memory_of_opening(request, bounds))
    attestations = Path(request.claim).parent / DIRECTORY
    # A link would let the child read whatever it points to.
    beside = [str(attestations)] if attestations.is_dir() and not attestations.is_symlink() else []
    return _report(setup, caller, [request.claim, request.opening, *beside, *_model(request)], bounds)


def find_facts_apart(
    request: ProofRequest,
    share: Share,
    source: SourceOrFinder,
    *,
    progress: Progress | None = None,
    bounds: Bounds | None = None,
) -> Facts:
    """Find the facts of one shard of a verification, in a process of its own.

    Raises:
        BackendError: the process was lost.
        PolError: it found an error; a verification says what that means for the proof.
    """
    caller, bounds = Caller(request, source, progress or Silent()), bounds or Bounds()
    setup = Setup(request, False, memory_of_proof(request, bounds), share=share)
    try:
        converse(setup, caller, [request.path], bounds)
    except ProcessLost as lost:
        raise BackendError(f"the process that reads the proof {lost}") from lost
    if caller.facts is None:
        raise BackendError("the process that reads the proof sent a report in place of facts")
    return caller.facts


def _model(request: ProofRequest | OpeningRequest) -> list[str]:
    return [] if request.model is None else [request.model]


def _report(setup: Setup, caller: Caller, readable: list[str], bounds: Bounds) -> Report:
    """Return the report of a child; without one, that which says so."""
    try:
        converse(setup, caller, readable, bounds)
    except ProcessLost as lost:
        return _without_child(setup, caller.stage, str(lost))
    if caller.report is None:
        return _without_child(setup, caller.stage, "sent facts in place of a report")
    return caller.report


def converse(setup: Setup, caller: Caller, readable: list[str], bounds: Bounds) -> None:
    """Start a child that may read these paths, and answer what it asks, until it has nothing left to say.

    Raises:
        ProcessLost: it died or fell silent before.
    """
    end = inf if bounds.total_seconds is None else monotonic() + bounds.total_seconds
    request = setup.request
    claim = Path(request.path) / claims.FILE if isinstance(request, ProofRequest) else find_claim(Path(request.claim))
    # Decided by the claim, before the child is confined: a network can not be entered afterwards.
    loopback = needs_gloo(claim)
    with child_process(readable, bounds.confined, processes=request.jobs > 1, loopback=loopback) as child:
        child.send(setup, end)
        # The caller asks nothing and only answers: each message is one that a child may send, or the child is given up.
        while not caller.done:
            answer = caller.answer(child.receive(decode_from_child, bounds, end))
            if answer is not None:
                child.send(answer, end)


def _without_child(setup: Setup, reached: Stage, what: str) -> Report:
    """Return the report on a verification whose process was lost in a stage: those before it were passed.

    But the initial state is judged together with the replay, so that it was not judged where the replay has no result.
    """
    report = empty_report(setup.request)
    for stage in list(Stage)[: reached.value - 1]:
        if stage is not Stage.INITIAL_STATE:
            report = report.with_stage(stage, Outcome.PASSED)
    return interrupted(report, reached, BackendError(f"the process that reads the proof {what}"))
