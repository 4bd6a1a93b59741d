"""The worker's side of a pool: a process that replays a proof or an opening, a span at a time, for who started it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic

from pol_jax.errors import PolError, ProofError, UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.cache_lookup import read_also
from pol_jax.sandbox.lifetime import exit_with
from pol_jax.sandbox.messages import OpeningWork, ProofWork, ReplaySpan, SpanReplayed, WorkerSetup
from pol_jax.sandbox.pipe import Pipe
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.sandbox.remote_records import RemoteRecords
from pol_jax.sandbox.virtual_devices import provide_devices, provide_devices_of_opening
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import read_opening
from pol_jax.verifying.checks import check_commitment
from pol_jax.verifying.opening_checks import check_opening
from pol_jax.verifying.opening_replay import replay_spans
from pol_jax.verifying.replay import Replayer


def work(handle: int, starter: int) -> None:
    """Replay what is asked for on an inherited pipe, until it is closed.

    Args:
        handle: of the pipe.
        starter: process that asks; when it is gone, so is the worker.
    """
    exit_with(starter)
    read_also()
    with Connection(handle) as connection, suppress(EOFError):
        pipe = Pipe(connection)
        try:
            replay = _prepare(pipe, pipe.receive(WorkerSetup))  # type: ignore[arg-type]  # a union is a type to msgspec
            while True:
                pipe.send(SpanReplayed(replay(pipe.receive(ReplaySpan))))
        except PolError as error:
            pipe.send(ErrorRaised(type(error).__name__, str(error)))


def _prepare(pipe: Pipe, setup: WorkerSetup) -> Callable[[ReplaySpan], ReplayResult]:
    """Return what replays a span. What was checked is checked again: nothing that was parsed crosses a pipe."""
    return _prepare_proof(pipe, setup) if isinstance(setup, ProofWork) else _prepare_opening(pipe, setup)


def _prepare_proof(pipe: Pipe, setup: ProofWork) -> Callable[[ReplaySpan], ReplayResult]:
    root = Path(setup.path)
    provide_devices(root, setup.limits)
    # Stage 3 again, and not the whole verification: rows and states are compared with what stage 4 saw.
    checked = check_commitment(root, _claim(root / claims.FILE, setup.claim, setup.limits), setup.limits)
    data = checked.proof.commitment.data
    done = StepsSince(pipe)
    replayer = Replayer(checked, RemoteRecords(pipe, data.record, data.records), setup.secret, done)

    def replay(wanted: ReplaySpan) -> ReplayResult:
        if wanted.seen is None:
            raise UsageError("a worker replays the rows of a proof that were seen, and was told of none")
        # The files may have changed since stage 4 of the process that started this one: what it saw there is the
        # measure.
        replayer.compare_with(wanted.seen)
        (result,) = replayer.replay([wanted.span])
        done.flush()
        return result

    return replay


def _prepare_opening(pipe: Pipe, setup: OpeningWork) -> Callable[[ReplaySpan], ReplayResult]:
    provide_devices_of_opening(Path(setup.opening), Path(setup.claim_file), setup.limits)
    claim = _claim(Path(setup.claim_file), setup.claim, setup.limits)
    # Without spans, which are not known yet: that what they need is there was checked by who asks.
    opened = check_opening(read_opening(Path(setup.opening), setup.limits), claim, [], setup.limits)
    done = StepsSince(pipe)

    def replay(wanted: ReplaySpan) -> ReplayResult:
        (result,) = replay_spans(opened, [wanted.span], done)
        done.flush()
        return result

    return replay


class StepsSince(Silent):
    """Counts the steps of this worker, and tells of them now and then: a message costs more than many a step."""

    def __init__(self, pipe: Pipe, seconds: float = 0.02) -> None:
        """Tell the other side of ``pipe``, with this many seconds between messages."""
        self._pipe, self._seconds = pipe, seconds
        self._next, self._steps = 0.0, 0
        self._loss: float | None = None

    def at(self, done: int, loss: float | None = None) -> None:
        """Count one more step."""
        self._steps, self._loss = self._steps + 1, loss
        if monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Tell of the steps that were not told of yet."""
        if self._steps:
            self._pipe.at(self._steps, self._loss)
        self._steps, self._next = 0, monotonic() + self._seconds


def _claim(path: Path, digest: str, limits: Limits) -> Claim:
    claim = Claim.parse(read_bounded(path.parent, path.name, limits))
    # Everything else is tied to the claim, so it is enough to know that this is the one that was checked.
    if claim.digest().hex() != digest:
        raise ProofError(claims.FILE, "is another one than when it was checked")
    return claim
