"""The caller's side of a conversation with the child: it has the records, draws the bars, and keeps the report."""

from __future__ import annotations

from typing import Final

import msgspec

from pol_jax import errors
from pol_jax.errors import PolError, UsageError
from pol_jax.progress import Progress
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import RecordSpec
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.messages import (
    ExportTrusted,
    FactsFound,
    FindSource,
    Finished,
    FromChild,
    ProgramExpected,
    ReadRecords,
    Records,
    SourceFound,
    StageBegun,
    WorkAdvanced,
    WorkBegun,
    WorkEnded,
)
from pol_jax.sandbox.process import ProcessLost
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.sandbox.remote_records import answers_from
from pol_jax.training.inputs import steps_at_once
from pol_jax.training.sources import SourceOrFinder, source_for
from pol_jax.training.task import Source
from pol_jax.verifying.facts import Facts, parse_facts
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import Trusted

MOST_BATCH_BYTES: Final = 2**30
"""The records that a child may ask for at once have at most this many bytes: those of a step, or of the few that are
read at once."""

_MOST_COUNT: Final = 2**53 - 1
_MOST_WORDS: Final = 80


class Caller:
    """A caller answers what a child may ask, and believes nothing of it that can not be so.

    Attributes:
        stage: that the child has reached.
        report: once the child has sent it.
        facts: likewise, from the child of a shard.
    """

    def __init__(
        self,
        request: ProofRequest | OpeningRequest,
        source: SourceOrFinder | None,
        progress: Progress,
        trusted: Trusted | None = None,
    ) -> None:
        """Answer a child that was sent ``request``.

        Args:
            request: what the verifier asks.
            source: the records, or a function that finds them; None for an opening, which brings its own.
            progress: told of the stages and of the replayed steps.
            trusted: tells which programs the source that the caller trusts gives.
        """
        self._request, self._source, self._progress, self._trusted = request, source, progress, trusted
        self._records: Source | None = None
        self._spec: RecordSpec = ()
        self._most_records = 0
        self.stage = Stage.LIMITS_AND_NAMES
        self.report: Report | None = None
        self.facts: Facts | None = None

    @property
    def done(self) -> bool:
        """Return whether there is nothing more to hear."""
        return self.report is not None or self.facts is not None

    def answer(self, message: FromChild) -> SourceFound | ProgramExpected | Records | None:
        """React to a message of the child, and return the answer, if there is one.

        Raises:
            ProcessLost: no child of ours sends this message.
            PolError: the child's own.
        """
        match message:
            case StageBegun(number) if 1 <= number <= len(Stage):
                self.stage = Stage(number)
                self._progress.stage(number)
            case WorkBegun() | WorkAdvanced() | WorkEnded():
                self._show(message)
            case FindSource(commitment):
                return self._find_source(commitment)
            case ExportTrusted(commitment, steps):
                return self._export_trusted(commitment, steps)
            case ReadRecords(indices):
                return self._read_records(indices)
            case Finished(report):
                self.report = self._checked_report(report)
            case FactsFound(facts):
                self.facts = self._checked_facts(facts)
            case ErrorRaised(kind, text):
                found = getattr(errors, kind, PolError)
                # The class is named by the child, so only two of ours are taken by name; the text may hold a terminal's
                # control codes.
                raise (found if found in (UsageError, errors.StorageError) else PolError)(errors.printable(text))
        return None

    def _show(self, message: WorkBegun | WorkAdvanced | WorkEnded) -> None:
        match message:
            case WorkBegun(what, total, done):
                # Words and numbers of a child that may be taken over: they are shown, so they are bounded and made
                # printable.
                self._progress.begin(errors.printable(what, _MOST_WORDS), _count(total), _count(done))
            case WorkAdvanced(done, loss):
                self._progress.at(_count(done), loss)
            case WorkEnded():
                self._progress.end()

    def _find_source(self, content: bytes) -> SourceFound:
        commitment = _commitment(content)
        if self._source is None:
            raise ProcessLost("asked for records that are not there")
        # The child sends the commitment, so that it gets the records of an earlier proof in the same way.
        self._records = source_for(self._source, commitment)
        self._spec, batch_size = commitment.data.record, commitment.schedule.batch_size
        # The sizes are the commitment's, so a hostile one could have the caller build batches of any size.
        if batch_size * nbytes(self._spec) > MOST_BATCH_BYTES:
            raise UsageError(f"a batch of this proof has more than {MOST_BATCH_BYTES} bytes; it can't be replayed here")
        self._most_records = batch_size * steps_at_once(self._spec, batch_size)
        return SourceFound(len(self._records))

    def _export_trusted(self, content: bytes, steps: int) -> ProgramExpected:
        if self._trusted is None or not 1 <= steps <= self._request.limits.steps:
            raise ProcessLost("asked for a program that is not there")
        return ProgramExpected(self._trusted(_commitment(content), steps))

    def _read_records(self, indices: list[int]) -> Records:
        if self._records is None:
            raise ProcessLost("asked for records that are not there")
        # A child that asks for everything would have the caller read a whole private data set for it.
        if len(indices) > self._most_records:
            raise ProcessLost("asked for more records than are read at once")
        if not all(0 <= index < len(self._records) for index in indices):
            raise ProcessLost("asked for records that are not there")
        return answers_from(self._records, self._spec)(indices)

    def _checked_report(self, content: bytes) -> Report:
        """Return the child's report, if it is on this verification: else it could be an old one of another proof."""
        try:
            report = msgspec.json.decode(content, type=Report)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ProcessLost("sent no report") from error
        asked = self._request
        # A child that a proof has taken over could send a stored report on another proof, or on an easier challenge.
        answered = report.nonce, report.policy, report.exact, report.leaves
        if answered != (asked.nonce.hex(), asked.policy, asked.exact, asked.leaves):
            raise ProcessLost("sent the report of another verification")
        # Else a report that was made without ``--signer`` could be shown to somebody who asked for one.
        if report.authorship is not None and report.authorship.pinned != asked.signer:
            raise ProcessLost("sent the report of another verification")
        if _contradicts_itself(report):
            raise ProcessLost("sent a report that contradicts itself")
        return report

    def _checked_facts(self, content: bytes) -> Facts:
        """Return the child's facts, if they are about this verification."""
        try:
            facts = parse_facts(content, "the child")
        except UsageError as error:
            raise ProcessLost("sent no facts") from error
        if (facts.nonce, facts.policy) != (self._request.nonce.hex(), self._request.policy):
            raise ProcessLost("sent the facts of another verification")
        return facts


def _contradicts_itself(report: Report) -> bool:
    """Return whether a report has other stages than the nine, or accepts what did not pass all of them."""
    if [(each.number, each.name) for each in report.stages] != [(stage.value, stage.title) for stage in Stage]:
        return True
    passed = all(each.outcome is Outcome.PASSED for each in report.stages)
    accepted = report.verdict is Verdict.ACCEPTED
    return accepted != (report.mode is not None) or (accepted and not passed)


def _commitment(content: bytes) -> Commitment:
    try:
        return Commitment.parse(content)
    except errors.ProofError as error:
        raise ProcessLost("sent no commitment") from error


def _count(number: int) -> int:
    """Return the number, or the nearest that any bar can draw."""
    return min(max(number, 0), _MOST_COUNT)
