"""``pol verify --follow`` checks a run while it goes on, and verifies it when it is finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from pol_jax.cli.terminal import Bars, say
from pol_jax.errors import PolError, UsageError
from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.follow import describe_following, follow_apart, unfinished_report
from pol_jax.storage.run import open_run
from pol_jax.training.sources import SourceOrFinder
from pol_jax.verifying.following import FollowOptions, SegmentChecked
from pol_jax.verifying.request import ProofRequest

_MOST_TOLD: Final = 100
"""This many false segments are told and verified at the end; the first one would do."""

Verify = Callable[[ProofRequest], Report]


def follow_options(follow: bool, share: float | None, stall: float | None, others: bool) -> FollowOptions | None:
    """Return how to follow a run, or None if none is to be followed.

    Raises:
        UsageError: options are given that only go together with --follow, or not with it.
    """
    if not follow:
        if share is not None or stall is not None:
            raise UsageError("--share, --stall: say how a run is followed; give --follow too")
        return None
    if others:
        raise UsageError("--follow: --shard and --ray share the work on a finished proof; leave them out")
    given = {name: x for name, x in (("share", share), ("stall_seconds", stall)) if x is not None}
    return FollowOptions(**given)


def follow_and_verify(
    request: ProofRequest,
    following: FollowOptions,
    source: SourceOrFinder,
    bounds: Bounds,
    verify: Verify,
) -> Report:
    """Follow a run, tell at once what is false, and return the report in the end.

    A segment that was false while the run went on is verified first: if it still is, that is the report.
    """
    bad: dict[int, SegmentChecked] = {}

    def tell(checked: SegmentChecked) -> None:
        if checked.problem is not None and len(bad) < _MOST_TOLD:
            bad.setdefault(checked.segment, checked)
            say(f"false: segment {checked.segment}: {checked.problem}", err=True)

    bars = Bars()
    try:
        ended = follow_apart(request, following, source, tell, progress=bars, bounds=bounds)
    finally:
        bars.end()
    say(describe_following(ended, following), err=True)
    if ended.reason != "finished":
        return unfinished_report(request, ended, following, list(bad.values()))
    # Listed, since a random draw could miss them.
    if still_there := _segments_of(request, bad):
        report = verify(structs.replace(request, policy=ListedSegments(still_there)))
        if report.verdict is not Verdict.ACCEPTED:
            return report
    return verify(request)


def _segments_of(request: ProofRequest, found: Iterable[int]) -> tuple[int, ...]:
    """Return those of the segments that the finished proof has: a run that may stop early can end before others.

    A proof that can't be read has none of them; its verification says what is wrong with it.
    """
    try:
        run = open_run(request.path, request.limits)
    except PolError:
        return ()
    segments = 0 if run.claim is None else len(run.segments)
    return tuple(sorted(segment for segment in found if segment < segments))
