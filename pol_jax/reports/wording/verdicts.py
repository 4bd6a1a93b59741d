"""These functions say the verdict in words, with what tolerances allow, and for how much of the run it holds."""

from __future__ import annotations

from pol_jax.protocol.policies import JointSegments, RandomSegments, RandomSteps
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.report import Report
from pol_jax.reports.wording.quantities import percent

_AT_RANDOM = (RandomSegments, RandomSteps, JointSegments)


def describe_verdict(report: Report) -> str:
    """Return the verdict; an acceptance says whether it is one of bits, or else how much its tolerances allow."""
    if report.mode is None:
        return str(report.verdict)
    if report.mode is Mode.BITS:
        return f"{report.verdict}, bit for bit"
    return f"{report.verdict} within a tolerance ({', '.join(_allowances(report))})"


def is_partial(report: Report) -> bool:
    """Return whether a proof was accepted although nothing is known of what was not replayed.

    A draw at random says something of all steps; steps that somebody chose don't.
    """
    seen = report.coverage
    left_out = seen is not None and len(seen.replayed) < seen.segments and not seen.detection
    return report.verdict is Verdict.ACCEPTED and left_out


def describe_extent(report: Report) -> str:
    """Return how many steps were replayed, as what stands beside a verdict; empty if no challenge was drawn."""
    seen = report.coverage
    if seen is None:
        return ""
    if seen.steps_replayed >= seen.steps:
        return f"all {seen.steps} steps were replayed"
    chosen = ", drawn at random" if seen.detection and isinstance(report.policy, _AT_RANDOM) else ""
    others = ", and nothing is known of the others" if is_partial(report) else ""
    return f"{seen.steps_replayed} of {seen.steps} steps were replayed{chosen}{others}"


def _allowances(report: Report) -> list[str]:
    """Return what tolerances allow for one step, and over all of a run and of those that it comes from."""
    parts = list[str]()
    # Spans with equal bits are compared only to see whether last places decide where they lead (section 14.1).
    steps = [each for each in report.compared if each.passed and not (each.is_initial or each.equal)]
    if steps:
        what = "step" if all(each.stop == each.start + 1 for each in steps) else "run of steps"
        parts.append(
            f"every {what} within {percent(max(each.relative(each.allowed()) for each in steps))} of its update"
        )
    else:
        parts.append("all replayed steps bit for bit")
    before = sum(each.tolerated for each in report.ancestors)
    own, whole = (report.drift.tolerated, report.drift.distance) if report.drift else (None, None)
    if own is not None and whole:
        earlier = ", earlier runs included" if before else ""
        parts.append(f"{percent((own + before) / whole)} of the distance in total{earlier}")
    return parts
