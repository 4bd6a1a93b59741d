"""This module implements ``pol verify --follow``: a run is checked while it goes on, then verified."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import click
from msgspec import structs

from pol_jax.cli.terminal import Bars
from pol_jax.errors import UsageError, printable
from pol_jax.program.machine import current_environment
from pol_jax.protocol.challenge import ListedSegments
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.follow import follow_apart
from pol_jax.training.task import Source
from pol_jax.verifying.following import FollowEnded, Following, SegmentChecked
from pol_jax.verifying.request import ProofRequest

Verify = Callable[[ProofRequest], Report]


def following_of(follow: bool, share: float | None, stall: float | None, others: bool) -> Following | None:
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
    return Following(**given)


def follow_and_verify(
    request: ProofRequest,
    following: Following,
    source: Source | Callable[[Commitment], Source],
    bounds: Bounds,
    verify: Verify,
) -> Report:
    """Follow a run, tell at once what is false, and return the report in the end.

    A segment that was false while the run went on is verified first: if it still is, that is the report.
    """
    bad: dict[int, SegmentChecked] = {}

    def tell(checked: SegmentChecked) -> None:
        if checked.problem is not None:
            bad.setdefault(checked.segment, checked)
            click.echo(f"false: segment {checked.segment}: {checked.problem}", err=True)

    bars = Bars()
    try:
        ended = follow_apart(request, following, source, tell, progress=bars, bounds=bounds)
    finally:
        bars.end()
    click.echo(_describe(ended, following), err=True)
    if ended.how != "finished":
        return _unfinished(request, ended, following, list(bad.values()))
    with suppress(UsageError):  # a run that may stop early can end before a segment that it had sealed
        if bad:
            report = verify(structs.replace(request, policy=ListedSegments(tuple(sorted(bad)))))
            if report.verdict is not Verdict.ACCEPTED:
                return report
    return verify(request)


def _describe(ended: FollowEnded, following: Following) -> str:
    how = {
        "finished": "the run is finished",
        "stalled": f"nothing new came for {following.stall_seconds:g} s",
        "replaced": "the directory has another run now",
    }
    looked = f"{ended.checked} of {ended.landed} segments were replayed while it went on, up to step {ended.steps}"
    doubt = f"; no more, since {printable(ended.doubt)}" if ended.doubt else ""
    return f"{how[ended.how]}: {looked}{doubt}"


def _unfinished(request: ProofRequest, ended: FollowEnded, following: Following, bad: list[SegmentChecked]) -> Report:
    """Return the report on a run that is not finished: nothing is proven; but what is false, is."""
    report = Report.unfinished(
        request.policy, request.nonce, current_environment(), exact=request.exact, leaves=request.leaves
    )
    reasons = [f"{Stage.REPLAY}: segment {each.segment}: {each.problem}" for each in bad]
    open_end = f"{_describe(ended, following)}; the run can be continued, and verified when all steps are done"
    outcome = Outcome.FAILED if bad else Outcome.INCONCLUSIVE
    report = report.with_stage(Stage.REPLAY, outcome, "; ".join([*reasons[:1], open_end]))
    verdict = Verdict.REJECTED if bad else Verdict.INCONCLUSIVE
    return structs.replace(report, verdict=verdict, reasons=(*reasons, open_end))
