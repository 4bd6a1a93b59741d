"""The child's side of `pol_jax.sandbox.apart`: it answers one request, with bounds on what it may do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from pol_jax.errors import PolError, UsageError
from pol_jax.progress import Paced
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.stages import Stage
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import limit_memory, limit_resources
from pol_jax.sandbox.cache_lookup import read_also
from pol_jax.sandbox.lifetime import exit_with
from pol_jax.sandbox.memory import MemoryLimits
from pol_jax.sandbox.messages import (
    ExportTrusted,
    FactsFound,
    FindSource,
    Finished,
    ProgramExpected,
    Setup,
    SourceFound,
)
from pol_jax.sandbox.pipe import Pipe
from pol_jax.sandbox.pool import PooledReplayer, replay_opening_in_pool
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.sandbox.remote_records import RemoteRecords
from pol_jax.sandbox.virtual_devices import provide_devices, provide_devices_of_opening
from pol_jax.training.task import Source
from pol_jax.verifying.facts import Facts, FactsReplayer, Share
from pol_jax.verifying.following import follow
from pol_jax.verifying.opening_verifier import OpeningVerifier
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.replay import MakeReplayer
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.shard import find_facts
from pol_jax.verifying.trusted_program import Expected


def serve(handle: int, caller: int, unrestricted: Sequence[str]) -> None:
    """Answer one request on an inherited pipe; what runs in the child.

    Args:
        handle: of the pipe.
        caller: process that asked; when it is gone, so is the child.
        unrestricted: what the child could do although it should not (`pol_jax.sandbox.confinement.confine`).
    """
    # First of all: whatever hangs later, the process must not outlive the one that asked.
    exit_with(caller)
    read_also()
    with Connection(handle) as connection:
        pipe = _ChildPipe(connection)
        setup = pipe.receive(Setup)
        # Limits before the first byte of the proof is read: a parser that a file has taken over should find them in
        # place.
        pipe.memory = setup.memory
        limit_resources()
        limit_memory(setup.memory.reading)
        _provide_devices(setup.request)
        try:
            if setup.share is not None:
                pipe.send(FactsFound(msgspec.json.encode(_find_facts(setup, setup.share, pipe))))
            elif setup.following is not None and isinstance(setup.request, ProofRequest):
                source = partial(_find_source, pipe)
                pipe.send(follow(setup.request, setup.following, source, pipe, pipe.send))
            else:
                report = _with_remarks(_verify(setup, pipe), unrestricted)
                pipe.send(Finished(msgspec.json.encode(report)))
        except PolError as error:
            pipe.send(ErrorRaised(type(error).__name__, str(error)))


def _provide_devices(request: ProofRequest | OpeningRequest) -> None:
    if isinstance(request, OpeningRequest):
        provide_devices_of_opening(Path(request.opening), Path(request.claim), request.limits)
    else:
        provide_devices(Path(request.path), request.limits)


class _ChildPipe(Pipe):
    """The pipe tells of stages, and so knows when the parsers have done their part and the program is executed."""

    memory = MemoryLimits(None, None)

    def stage(self, number: int) -> None:
        """Tell that a stage begins, from the first that executes something on with more memory."""
        # Stage 7 is the first that executes the program. Until then nothing needs more memory than the documents
        # explain.
        if number >= Stage.INITIAL_STATE.value:
            limit_memory(self.memory.executing)
        super().stage(number)


def _verify(setup: Setup, pipe: Pipe) -> Report:
    request = setup.request

    def trusted(commitment: Commitment, steps: int) -> Expected | None:
        return pipe.ask(ExportTrusted(commitment.encode(), steps), ProgramExpected).expected

    compare = trusted if setup.has_trusted else None
    if isinstance(request, OpeningRequest):
        replay = partial(replay_opening_in_pool, request=request)
        return OpeningVerifier(request, trusted=compare, progress=Paced(pipe), replay=replay).run()

    return ProofVerifier(
        request,
        partial(_find_source, pipe),
        trusted=compare,
        progress=Paced(pipe),
        replayer=partial(FactsReplayer, facts=setup.facts) if setup.facts else _pooled(request),
        replayer_of_ancestors=_pooled(request),
    ).run()


def _find_facts(setup: Setup, share: Share, pipe: Pipe) -> Facts:
    request = setup.request
    if isinstance(request, OpeningRequest):
        raise UsageError("shard: an opening is too small to be shared among machines")
    return find_facts(request, share, partial(_find_source, pipe), progress=Paced(pipe), make_replayer=_pooled(request))


def _pooled(request: ProofRequest) -> MakeReplayer:
    return partial(PooledReplayer, jobs=request.jobs)


def _find_source(pipe: Pipe, commitment: Commitment) -> Source:
    found = pipe.ask(FindSource(commitment.encode()), SourceFound)
    return RemoteRecords(pipe, commitment.data.record, found.records)


def _with_remarks(report: Report, remarks: Sequence[str]) -> Report:
    """Return the report, with remarks on this machine where it says what was read."""
    # What was not restricted stands in stage 1, where a reader looks for what was read and how.
    first, *others = report.stages
    first = msgspec.structs.replace(first, detail="; ".join([first.detail, *remarks]))
    return msgspec.structs.replace(report, stages=(first, *others))
