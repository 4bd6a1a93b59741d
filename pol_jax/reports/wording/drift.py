"""These functions say in words how much could still be false after a verification."""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.reports.comparison import Compared
from pol_jax.reports.dependence import Dependence
from pol_jax.reports.report import Report
from pol_jax.reports.wording.quantities import percent, whole_percent, with_shares


def describe_drift(report: Report) -> list[str]:
    """Return how much could still be false after a verification, in one line for each fact."""
    drift, lines = report.drift, list[str]()
    if drift is None:
        return lines
    if report.non_finite:
        over = "" if drift.distance is None else f"; over the values that are finite in both it is {drift.distance:.2g}"
        lines.append(f"the distance from the initial to the final state is not finite{over}")
    elif drift.distance is not None:
        lines.append(f"the distance from the initial to the final state is {drift.distance:.2g}")
    seen = report.coverage
    left_out = seen is None or len(seen.replayed) < seen.segments
    # Where everything was replayed, there is no update that was not checked.
    if drift.unchecked is not None and (left_out or drift.unchecked):
        sure = "" if drift.confidence is None else f", with {whole_percent(drift.confidence)} confidence"
        most = f"at most {with_shares(drift.unchecked, drift)}{sure}"
        lines.append(f"false updates among those that were not checked could add up to {most}")
    if drift.tolerated:
        lines.append(f"errors that the tolerances allow could add up to at most {with_shares(drift.tolerated, drift)}")
        lines += _decisions(report.compared)
    elif _is_exact(report):
        lines.append("no tolerance was needed: everything that was replayed is the same bit for bit")
    if report.dependence is not None:
        lines += _depends(report.dependence)
    if drift.infinitesimal:
        lines.append(f"{drift.infinitesimal} of {drift.updates} updates are far smaller than the median update")
    return lines


def _depends(found: Dependence) -> list[str]:
    """Return by how much a step's update changes with other numbers in its batch or state."""
    tried = (("batch", found.batch), ("state", found.state))
    known = " and ".join(f"by {percent(share)} with another {what}" for what, share in tried if share is not None)
    return [f"the update of step {found.step} changes {known}, in the leaf that depends on it least"] if known else []


def _decisions(compared: Sequence[Compared]) -> list[str]:
    """Return what was taken of the prover's decisions in steps that would not have passed without."""
    used = [each.decisions for each in compared if each.decisions is not None]
    if not used:
        return []
    share = max(each.relative(each.decisions.choices) for each in compared if each.decisions is not None)
    taken, given = sum(each.used for each in used), sum(each.given for each in used)
    return [
        f"{len(used)} comparisons pass with the prover's decisions near ties, where rounding decides: {taken} of "
        f"{given} were used; wrong ones could have moved a step by at most {percent(share)} of its update, and what "
        "tolerances allow includes the part of this that the checked steps don't rule out"
    ]


def _is_exact(report: Report) -> bool:
    """Return whether something was replayed, and everything that was is the same bit for bit."""
    replays = [*report.replays, *([report.self_test] if report.self_test else [])]
    return bool(report.replays) and not report.compared and all(each.mismatch is None for each in replays)
