"""The caller's side of a conversation with the child: has the records, draws the bars, keeps the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pol_jax import errors
from pol_jax.errors import PolError, UsageError
from pol_jax.progress import Progress
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import RecordSpec
from pol_jax.reports.report import Report
from pol_jax.sandbox.messages import (
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
from pol_jax.sandbox.pool_workers import answering
from pol_jax.sandbox.process import Lost
from pol_jax.training.task import Source
from pol_jax.verifying.trusted_program import Expected, Trusted

MOST_BATCH_BYTES: Final = 2**30
"""Of the records that a child may ask for at once: those of one step."""

_MOST_COUNT: Final = 2**53 - 1
_MOST_WORDS: Final = 80


class Caller:
    """Answers what a child may ask, and believes nothing of it that can't be so.

    Attributes:
        stage: that the child has reached.
        report: once there is one.
    """

    def __init__(
        self,
        request: Request,
        source: Source | Callable[[Commitment], Source],
        progress: Progress,
        trusted: Trusted | None = None,
    ) -> None:
        """Answer about ``request``.

        Args:
            request: that the child was sent.
            source: the records, or a function that finds them.
            progress: told of the stages and of the replayed steps.
            trusted: tells which programs the source that the caller trusts gives.
        """
        self._request, self._source, self._progress, self._trusted = request, source, progress, trusted
        self._records: Source | None = None
        self._spec: RecordSpec = ()
        self._batch_size = 0
        self.stage = Stage.LIMITS_AND_NAMES
        self.report: Report | None = None

    def hear(self, message: FromChild) -> Found | Expected | Records | None:
        """React to a message of the child; what to answer, if anything.

        Raises:
            Lost: no child of ours says that.
            PolError: the child's own.
        """
        match message:
            case Entered(number) if 1 <= number <= len(Stage):
                self.stage = Stage(number)
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
                    raise Lost("sent the report of another verification")
            case Failed(kind, text):
                found = getattr(errors, kind, PolError)
                raise (found if found in (UsageError, errors.StorageError) else PolError)(errors.printable(text))
        return None

    def _show(self, message: Begun | Reached | Ended) -> None:
        match message:
            case Begun(what, total, done):
                self._progress.begin(errors.printable(what, _MOST_WORDS), _count(total), _count(done))
            case Reached(done, loss):
                self._progress.at(_count(done), loss)
            case Ended():
                self._progress.end()

    def _expect(self, content: bytes, steps: int) -> Expected:
        if self._trusted is None or not 1 <= steps <= self._request.limits["steps"]:
            raise Lost("asked for a program that is not there")
        return self._trusted(_commitment(content), steps)

    def _find(self, content: bytes) -> Found:
        commitment = _commitment(content)
        self._records = self._source if isinstance(self._source, Source) else self._source(commitment)
        self._spec, self._batch_size = commitment.data.record, commitment.schedule.batch_size
        if self._batch_size * nbytes(self._spec) > MOST_BATCH_BYTES:
            raise UsageError(f"a batch of this proof has more than {MOST_BATCH_BYTES} bytes; it can't be replayed here")
        return Found(len(self._records))

    def _take(self, indices: list[int]) -> Records:
        if self._records is None:
            raise Lost("asked for records that are not there")
        if len(indices) > self._batch_size:
            raise Lost("asked for more records than a step takes")
        if not all(0 <= index < len(self._records) for index in indices):
            raise Lost("asked for records that are not there")
        return answering(self._records, self._spec)(indices)


def _commitment(content: bytes) -> Commitment:
    try:
        return Commitment.parse(content)
    except errors.ProofError as error:
        raise Lost("sent no commitment") from error


def _report(content: bytes) -> Report:
    try:
        return msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Lost("sent no report") from error


def _count(number: int) -> int:
    """A number that any bar can draw."""
    return min(max(number, 0), _MOST_COUNT)
