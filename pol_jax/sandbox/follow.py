"""A run is followed by a confined process, like any verification: what it reads is as untrusted as a proof."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep

from msgspec import structs

from pol_jax.errors import BackendError, UsageError, printable
from pol_jax.progress import Progress
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.apart import converse
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.memory import memory_of_run
from pol_jax.sandbox.messages import Finished, FromChild, ProgramExpected, Records, Setup, SourceFound
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.process import ProcessLost
from pol_jax.training.sources import SourceOrFinder
from pol_jax.verifying.following import FollowEnded, FollowOptions, OnSegment, SegmentChecked
from pol_jax.verifying.interruption import empty_report
from pol_jax.verifying.request import ProofRequest

_LONGEST = 500


class FollowCaller(Caller):
    """Hears of the segments that were checked.

    Attributes:
        ended: once there is nothing to follow any more.
    """

    def __init__(
        self,
        request: ProofRequest,
        source: SourceOrFinder,
        progress: Progress,
        on_segment: OnSegment,
    ) -> None:
        """Answer a child that follows a run."""
        super().__init__(request, source, progress)
        self._on_segment = on_segment
        self._next = 0
        self.ended: FollowEnded | None = None

    @property
    def done(self) -> bool:
        """Return whether there is nothing more to hear."""
        return self.ended is not None

    def answer(self, message: FromChild) -> SourceFound | ProgramExpected | Records | None:
        """React to a message of the child, and return the answer, if there is one.

        Raises:
            ProcessLost: no child of ours sends this message.
            PolError: the child's own.
        """
        match message:
            # Ascending: a child that was taken over could else tell of one segment without an end.
            case SegmentChecked(segment, problem, steps) if segment >= self._next and steps >= 0:
                self._next = segment + 1
                told = None if problem is None else printable(problem, _LONGEST)
                self._on_segment(SegmentChecked(segment, told, steps))
            case FollowEnded() if message.landed >= message.checked >= 0 and message.steps >= 0:
                self.ended = message
            case SegmentChecked() | FollowEnded() | Finished():
                raise ProcessLost("says what can't be so of a run")
            case _:
                return super().answer(message)
        return None


def follow_apart(
    request: ProofRequest,
    following: FollowOptions,
    source: SourceOrFinder,
    on_segment: OnSegment,
    *,
    progress: Progress,
    bounds: Bounds,
) -> FollowEnded:
    """Follow a run until it is finished, or nothing new comes, in a process of its own.

    Args:
        request: about the proof that the run will have been.
        following: how often to look, and at how much.
        source: the training records, or a function that finds them.
        on_segment: told at once of each segment that was checked.
        progress: told of the steps that have landed.
        bounds: on the process; its time in all bounds the following too.

    Raises:
        UsageError: no run has begun in this directory.
        BackendError: the process was lost.
    """
    await_commitment(Path(request.path), following)
    caller = FollowCaller(request, source, progress, on_segment)
    try:
        setup = Setup(request, False, memory_of_run(request, bounds), following=following)
        converse(setup, caller, [request.path], bounds)
    except ProcessLost as lost:
        raise BackendError(f"the process that follows the run {lost}") from lost
    assert caller.ended is not None  # noqa: S101  # the conversation goes on until it is
    return caller.ended


def await_commitment(root: Path, following: FollowOptions) -> None:
    """Wait until a run has begun in a directory.

    Raises:
        UsageError: none has, for as long as a run may say nothing.
    """
    end = monotonic() + following.stall_seconds
    while not (root / commitments.FILE).exists():
        if monotonic() > end:
            raise UsageError(
                f"{root}: no run has begun here for {following.stall_seconds:g} s; give the directory"
                " that a training writes its proof to"
            )
        sleep(following.poll_seconds)


def describe_following(ended: FollowEnded, following: FollowOptions) -> str:
    """Return how far a run was followed, and why no further, in one line."""
    reasons = {
        "finished": "the run is finished",
        "stalled": f"nothing new came for {following.stall_seconds:g} s",
        "replaced": "the directory has another run now",
    }
    looked = f"{ended.checked} of {ended.landed} segments were replayed while it went on, up to step {ended.steps}"
    doubt = f"; no more, since {printable(ended.doubt)}" if ended.doubt else ""
    return f"{reasons[ended.reason]}: {looked}{doubt}"


def unfinished_report(
    request: ProofRequest, ended: FollowEnded, following: FollowOptions, bad: list[SegmentChecked]
) -> Report:
    """Return the report on a run that is not finished: nothing is proven; but what is false, is."""
    report = empty_report(request)
    reasons = [f"{Stage.REPLAY}: segment {each.segment}: {each.problem}" for each in bad]
    open_end = f"{describe_following(ended, following)}; the run can be continued, and verified when all steps are done"
    outcome = Outcome.FAILED if bad else Outcome.INCONCLUSIVE
    report = report.with_stage(Stage.REPLAY, outcome, "; ".join([*reasons[:1], open_end]))
    verdict = Verdict.REJECTED if bad else Verdict.INCONCLUSIVE
    return structs.replace(report, verdict=verdict, reasons=(*reasons, open_end))
