"""A run is followed while it goes on in another process: a share of its segments is checked as they land.

What is found is told at once. It is a warning, and no verdict: that is for the verification of the finished proof,
whose challenge is drawn after the claim.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, TypeAlias

import msgspec

from pol_jax.errors import BackendError, DataError, ProofError
from pol_jax.progress import Progress
from pol_jax.protocol import inventory
from pol_jax.protocol.stages import Stage
from pol_jax.storage.journal import FILE as JOURNAL_FILE
from pol_jax.storage.ledger import DIRECTORY
from pol_jax.training.sources import SourceOrFinder
from pol_jax.verifying.landed_segments import LandedSegments, describe_difference, sealed_segments
from pol_jax.verifying.request import ProofRequest


class FollowOptions(msgspec.Struct, frozen=True):
    """These options say how a run is followed.

    Attributes:
        share: of its segments that are replayed, each chosen by chance when it has landed; the first one always is.
        stall_seconds: after so long without anything new, the run is given up.
        poll_seconds: how long to wait before looking again.
    """

    share: float = 0.1
    stall_seconds: float = 3600
    poll_seconds: float = 1


class SegmentChecked(msgspec.Struct, frozen=True, tag="segment_checked"):
    """A segment was checked.

    Attributes:
        segment: its number.
        problem: what is false about it, in words; None if nothing is.
        steps: the last step that has landed with it.
    """

    segment: int
    problem: str | None
    steps: int


class FollowEnded(msgspec.Struct, frozen=True, tag="follow_ended"):
    """There is nothing to follow any more.

    Attributes:
        reason: the run is finished; nothing new came; or the directory has another run now.
        steps: the last step of its sealed segments.
        landed: how many segments were sealed.
        checked: how many of them were replayed.
        doubt: why none, or no more, could be replayed here; or None.
    """

    reason: Literal["finished", "stalled", "replaced"]
    steps: int
    landed: int
    checked: int
    doubt: str | None = None


OnSegment: TypeAlias = Callable[[SegmentChecked], None]
"""This is told at once of each segment that was checked."""


def follow(
    request: ProofRequest, options: FollowOptions, source: SourceOrFinder, progress: Progress, on_segment: OnSegment
) -> FollowEnded:
    """Follow a run until it is finished, or nothing new comes."""
    progress.begin("following", 0)
    try:
        return _RunFollower(request, options, source, progress, on_segment).run()
    finally:
        progress.end()


class _RunFollower:
    def __init__(
        self,
        request: ProofRequest,
        options: FollowOptions,
        source: SourceOrFinder,
        progress: Progress,
        on_segment: OnSegment,
    ) -> None:
        self._request, self._options, self._source = request, options, source
        self._progress, self._on_segment, self._root = progress, on_segment, Path(request.path)
        self._segments: LandedSegments | None = None
        self._landed = self._checked = 0
        self._doubt: str | None = None
        # No seed: a prover who could foresee which segments are replayed would falsify the others.
        self._chance = secrets.SystemRandom().random

    def run(self) -> FollowEnded:
        seen, since = self._activity(), monotonic()
        while True:
            finished = (self._root / inventory.FILE).exists()  # before the segments: afterwards none are added
            try:
                self._see_new()
                if self._segments is not None and self._segments.is_another_run():
                    return self._ended("replaced")
            except (BackendError, DataError) as error:  # what this machine can't do says nothing of the run
                self._doubt = str(error)
            except ProofError as error:
                if self._doubt is None:  # once: nothing more is looked at
                    self._on_segment(SegmentChecked(self._landed, str(error), self._steps))
                    self._doubt = str(error)
            if finished:
                return self._ended("finished")
            now = self._activity()
            if now != seen:
                seen, since = now, monotonic()
            elif monotonic() - since > self._options.stall_seconds:
                return self._ended("stalled")
            sleep(self._options.poll_seconds)
            self._progress.at(self._steps)

    def _see_new(self) -> None:
        """Check what has landed, in order, unless this machine could not before."""
        sealed = sealed_segments(self._root, self._landed)
        if self._doubt is not None:
            self._landed = sealed
        while self._landed < sealed:
            if self._segments is None:
                self._segments = self._open()
            # The first one always: whether this backend reproduces the run at all is worth knowing at once.
            if self._doubt is None and (self._landed == 0 or self._chance() < self._options.share):
                self._check(self._segments, self._landed)
            self._landed += 1

    def _open(self) -> LandedSegments:
        segments = LandedSegments(self._root, self._request.limits, self._source, self._request.secret)
        self._progress.stage(Stage.REPLAY.value)  # what is executed from now on may take more memory than files explain
        differences = segments.differences()
        if differences:
            self._doubt = f"this backend is not that of the run ({'; '.join(differences)})"
        return segments

    def _check(self, segments: LandedSegments, segment: int) -> None:
        interval, problem = segments.commitment.schedule.interval, None
        try:
            result = segments.replay(segment, lambda row: self._progress.at(row.step, row.loss))
            if not result.exact:
                problem = describe_difference(result)
        except ProofError as error:
            problem = str(error)
        self._checked += 1
        self._on_segment(SegmentChecked(segment, problem, (segment + 1) * interval))

    @property
    def _steps(self) -> int:
        return self._landed * self._segments.commitment.schedule.interval if self._segments else 0

    def _ended(self, reason: Literal["finished", "stalled", "replaced"]) -> FollowEnded:
        return FollowEnded(reason, self._steps, self._landed, self._checked, self._doubt)

    def _activity(self) -> list[tuple[int, int]]:
        """Return what changes when the run writes."""
        found = []
        # The journal grows with each row; the directories change when a segment is sealed, or a document is written.
        for name in (JOURNAL_FILE, DIRECTORY, "."):
            try:
                status = (self._root / name).stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((status.st_size, status.st_mtime_ns))
        return found
