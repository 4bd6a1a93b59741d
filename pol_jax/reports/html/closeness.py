"""How far off the replayed steps are: no distance where bits are the same, else against what is calibrated here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pol_jax.reports.html.distances import distance_chart
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.html.signs import OUTCOMES
from pol_jax.reports.report import Compared, Outcome, Replay, Report
from pol_jax.reports.wording import describe_distance, describe_steps

_MOST = 60
"""More comparisons than that are not drawn, nor listed: the worst are."""

_WHAT = (
    "Distances are Euclidean, over all floating-point leaves. An update is what the steps changed. The noise is the "
    "largest distance between two compilations of the same steps here. The tolerance is calibrated from it, and "
    "decides only where it is not above the limit."
)

_COLUMNS = ("error", "noise", "tolerance", "limit", "update")


def closeness(report: Report) -> Markup | None:
    """The section; None where nothing was replayed."""
    if not report.replays and not report.compared:
        return None
    unit = report.coverage.unit if report.coverage else "step"
    sentences = [*_bit_for_bit(report.replays, unit), *_as_numbers(report, unit)]
    parts = [tag("h2", "Reproduction error"), tag("p", " ".join(sentences))]
    if report.compared:
        parts += _compared(report.compared)
    return tag("section", *parts)


def _bit_for_bit(replays: Sequence[Replay], unit: str) -> list[str]:
    exact = [max(0, each.stop - each.start) for each in replays if each.mismatch is None]
    if not exact:
        return []
    where = f" in {_count(len(exact), 'segment')}" if unit == "segment" else ""
    return [f"{_count(sum(exact), 'step')}{where} came out bit for bit: error 0."]


def _as_numbers(report: Report, unit: str) -> list[str]:
    if not report.compared:
        other = sum(each.mismatch is not None for each in report.replays)
        came = f"{_count(other, unit)} came out otherwise; bits were compared, and no distances."
        return [came] if other else []
    outcomes = Counter(each.outcome for each in report.compared)
    counts = ", ".join(f"{outcomes[each]} {each}" for each in Outcome if outcomes[each])
    if len(report.compared) == 1:
        (only,) = report.compared
        counts = f"{describe_steps(only.start, only.stop)}, {only.outcome}"
    return [f"Compared as numbers, because bits differ here: {counts}."]


def _compared(compared: Sequence[Compared]) -> list[Markup]:
    worst = sorted(compared, key=lambda each: each.severity, reverse=True)
    shown = sorted(worst[:_MOST], key=lambda each: each.start)
    largest = max(compared, key=lambda each: each.relative(each.error))
    description = f"The largest error is {_share(largest)}, in {describe_steps(largest.start, largest.stop)}."
    left_out = len(compared) - len(shown)
    notes = [
        description,
        _WHAT,
        *([f"The {len(shown)} worst are shown, {left_out:,} more are not."] if left_out else []),
    ]
    return [distance_chart(description, shown), tag("p", " ".join(notes), class_="note"), _table(shown)]


def _share(compared: Compared) -> str:
    share = compared.relative(compared.error)
    finite = f"{describe_distance(share)} of the update"
    return finite if math.isfinite(share) else "not finite, or the update is 0 or not finite"


def _table(compared: Sequence[Compared]) -> Markup:
    """The chart for those who can't see it, and its numbers for all."""
    heads = (tag("th", name.capitalize(), scope="col") for name in ("step", "outcome", *_COLUMNS))
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *map(_row, compared)), class_="compared")
    return tag("details", tag("summary", "The numbers"), table)


def _row(compared: Compared) -> Markup:
    tone, sign = OUTCOMES[Outcome(compared.outcome)]
    steps = describe_steps(compared.start, compared.stop)
    outcome = together(tag("span", sign, class_="sign", aria_hidden="true"), compared.outcome)
    values = (
        tag("td", describe_distance(value), data_side=name.capitalize(), class_="value")
        for name, value in ((name, getattr(compared, name)) for name in _COLUMNS)
    )
    return tag("tr", tag("th", steps, scope="row"), tag("td", outcome, class_=f"outcome {tone}"), *values)


def _count(many: int, what: str) -> str:
    return f"{many:,} {what}{'' if many == 1 else 's'}"
