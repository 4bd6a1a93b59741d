"""Verification in a process of its own: a proof that crashes a parser or never ends can't take the caller along.

Parquet, StableHLO and Orbax files are read by native libraries, and the program that is replayed is the prover's. The
child has none of the caller's objects: it asks for records over a pipe. Nothing that it says is unpickled; if it dies
or falls silent, the verdict is inconclusive.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import IO

import msgspec
import numpy as np

from pol_jax import errors, verifier
from pol_jax.challenge import Policy, RandomSegments, StepPolicy, check_policy
from pol_jax.commitment import Commitment
from pol_jax.data import Arrays, take
from pol_jax.encoding import FORMAT
from pol_jax.environment import current_environment
from pol_jax.errors import DataError, PolError, UsageError
from pol_jax.inventory import Limits
from pol_jax.messages import (
    Begun,
    Done,
    Ended,
    Entered,
    Expect,
    Failed,
    Find,
    Found,
    FromChild,
    Reached,
    Records,
    Request,
    Take,
)
from pol_jax.origin import Expected, Trusted, trust
from pol_jax.progress import Progress, Silent
from pol_jax.report import STAGES, Origin, Outcome, Report, Stage, Verdict
from pol_jax.specs import RecordSpec
from pol_jax.task import Source, Task

_MOST_BYTES = 2**28
"""The largest message that the caller reads from the child."""

_CHILD = "import sys; from pol_jax.child import serve; serve(*map(int, sys.argv[1:]))"


@dataclass(frozen=True)
class Bounds:
    """What the child may take.

    Attributes:
        silence_seconds: how long it may say nothing: compile, or execute one step, or read one checkpoint.
        total_seconds: how long the whole verification may take, or None.
        memory_bytes: of address space, or None; too small a number keeps XLA from starting, above all on GPUs.
    """

    silence_seconds: int | float = 900
    total_seconds: int | float | None = None
    memory_bytes: int | None = None


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
        parents=tuple(str(Path(parent).absolute()) for parent in parents),
    )
    caller = _Caller(
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

    Raises:
        UsageError: a file is not there, or the policy would check nothing.
    """
    bounds = bounds or Bounds()
    request = Request(
        path=str(Path(claim).absolute()),
        opening=str(Path(opening).absolute()),
        policy=policy,
        nonce=nonce,
        limits=asdict(limits or Limits()),
        secret=None,
        memory_bytes=bounds.memory_bytes,
    )
    return _converse(request, _Caller(request, Arrays(np.empty(0)), progress or Silent(), None), bounds)


def _converse(request: Request, caller: _Caller, bounds: Bounds) -> Report:
    """Start a child, answer what it asks, until there is a report; or until it is lost."""
    end = inf if bounds.total_seconds is None else monotonic() + bounds.total_seconds
    with _child() as child:
        try:
            child.send(request)
            while caller.report is None:
                answer = caller.hear(child.receive(bounds, end))
                if answer is not None:
                    child.send(answer)
        except _Lost as lost:
            return _undecided(request, caller.stage, str(lost))
    return caller.report


class _Caller:
    """The caller's side of the conversation: has the records, draws the bars, keeps the report."""

    def __init__(
        self,
        request: Request,
        source: Source | Callable[[Commitment], Source],
        progress: Progress,
        trusted: Trusted | None = None,
    ) -> None:
        self._request, self._source, self._progress, self._trusted = request, source, progress, trusted
        self._records: Source | None = None
        self._spec: RecordSpec = ()
        self.stage = 1
        self.report: Report | None = None

    def hear(self, message: FromChild) -> Found | Expected | Records | None:
        """React to a message of the child; what to answer, if anything."""
        match message:
            case Entered(number) if 1 <= number <= len(STAGES):
                self.stage = number
                self._progress.stage(number)
            case Begun() | Reached() | Ended():
                self._show(message)
            case Find(commitment):
                return self._find(commitment)
            case Expect(commitment, steps):
                return self._expect(commitment, steps)
            case Take(indices):
                return self._take(indices)
            case Done(report):
                self.report = _report(report)
                if (self.report.nonce, self.report.policy) != (self._request.nonce.hex(), self._request.policy):
                    self.report = None
                    raise _Lost("sent the report of another verification")
            case Failed(kind, text):
                found = getattr(errors, kind, PolError)
                raise (found if found in (UsageError, errors.StorageError) else PolError)(text)
        return None

    def _show(self, message: Begun | Reached | Ended) -> None:
        match message:
            case Begun(what, total, done):
                self._progress.begin(what, total, done)
            case Reached(done, loss):
                self._progress.at(done, loss)
            case Ended():
                self._progress.end()

    def _expect(self, content: bytes, steps: int) -> Expected:
        if self._trusted is None or not 1 <= steps <= self._request.limits["steps"]:
            raise _Lost("asked for a program that is not there")
        return self._trusted(_commitment(content), steps)

    def _find(self, content: bytes) -> Found:
        commitment = _commitment(content)
        self._records = self._source if isinstance(self._source, Source) else self._source(commitment)
        self._spec = commitment.data.record
        return Found(len(self._records))

    def _take(self, indices: list[int]) -> Records:
        if self._records is None or not all(0 <= index < len(self._records) for index in indices):
            raise _Lost("asked for records that are not there")
        try:
            batch = take(self._records, self._spec, np.array(indices, np.int64))
        except DataError as error:
            return Records([], str(error))
        return Records([leaf.tobytes() for leaf in batch], None)


def _module_paths() -> list[str]:
    """Where the child finds this package: beside itself, and on the caller's absolute paths."""
    mine = str(Path(__file__).resolve().parents[1])
    return [mine, *(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(path))]


def _commitment(content: bytes) -> Commitment:
    try:
        return Commitment.parse(content)
    except errors.ProofError as error:
        raise _Lost("sent no commitment") from error


def _report(content: bytes) -> Report:
    try:
        return msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Lost("sent no report") from error


class _Lost(Exception):
    """The child died, fell silent, or is no longer itself."""


@dataclass(frozen=True)
class _Child:
    """The child, as the caller sees it."""

    connection: Connection
    process: subprocess.Popen[bytes]
    noise: IO[bytes]

    def send(self, message: Request | Found | Expected | Records) -> None:
        """Say something."""
        try:
            self.connection.send_bytes(msgspec.msgpack.encode(message))
        except OSError as error:
            raise _Lost(self._how_it_died()) from error

    def receive(self, bounds: Bounds, end: float) -> FromChild:
        """Wait for a message: not for ever, and not beyond ``end``, since who never ends may well talk all the time."""
        left = end - monotonic()
        try:
            if left <= 0 or not self.connection.poll(min(bounds.silence_seconds, left)):
                if left <= bounds.silence_seconds:
                    raise _Lost(f"took more than the {bounds.total_seconds:g} s that it has in all")
                raise _Lost(f"said nothing for {bounds.silence_seconds:g} s")
            content = self.connection.recv_bytes(_MOST_BYTES)
            return msgspec.msgpack.decode(content, type=FromChild)  # type: ignore[no-any-return]
        except (EOFError, OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _Lost(self._how_it_died()) from error

    def _how_it_died(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        if code is not None and code < 0:
            return f"died of {_signal_name(-code)}"
        self.noise.seek(0)
        lines = self.noise.read(2**20).decode(errors="replace").strip().splitlines()
        return "ended without a report" + (f": {errors.printable(lines[-1][:200])}" if lines else "")


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


@contextmanager
def _child() -> Iterator[_Child]:
    """A process that serves one request; killed when it is no longer needed."""
    ours, theirs = Pipe()
    with ours, tempfile.TemporaryFile() as noise:
        # -P and no relative path: a module that lies in the current directory, or in the proof, is not imported.
        command = [sys.executable, "-P", "-c", _CHILD, str(theirs.fileno()), str(os.getpid())]
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=noise,
            stderr=noise,
            cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_module_paths())},
        )
        theirs.close()
        try:
            yield _Child(ours, process, noise)
        finally:
            process.kill()
            process.wait()


def _undecided(request: Request, reached: int, what: str) -> Report:
    """The report on a verification whose process did not get to one."""
    seen = f"the process that reads the proof {what}"
    outcomes = {number: Outcome.PASSED if number < reached else Outcome.NOT_REACHED for number in range(1, 10)}
    outcomes[reached] = Outcome.INCONCLUSIVE
    return Report(
        format=FORMAT,
        verdict=Verdict.INCONCLUSIVE,
        reasons=(f"stage {reached}, {STAGES[reached - 1]}: cannot judge here: {seen}",),
        stages=tuple(
            Stage(number, STAGES[number - 1], outcome, seen if number == reached else "")
            for number, outcome in outcomes.items()
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
        provenance=None,
        ancestors=(),
        initial_test=None,
    )
