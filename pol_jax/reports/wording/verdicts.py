"""The verdict in words, with what tolerances allow."""

from __future__ import annotations

from pol_jax.reports.outcomes import Mode
from pol_jax.reports.report import Report
from pol_jax.reports.wording.quantities import percent


def describe_verdict(report: Report) -> str:
    """Return the verdict; an acceptance says whether it is one of bits, or else how much its tolerances allow."""
    if report.mode is None:
        return str(report.verdict)
    if report.mode is Mode.BITS:
        return f"{report.verdict}, bit for bit"
    return f"{report.verdict} within a tolerance ({', '.join(_allowances(report))})"


def _allowances(report: Report) -> list[str]:
    """Return what tolerances allow for one step, and over all of a run and of those that it comes from."""
    parts = list[str]()
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
