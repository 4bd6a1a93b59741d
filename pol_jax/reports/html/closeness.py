"""This section says how far replayed steps are from the prover's: the reproduction error.

It is 0 where the bits are the same. Elsewhere it is compared with a tolerance that the verifier has calibrated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Replay
from pol_jax.reports.html.distances import distance_chart
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.html.signs import OUTCOMES
from pol_jax.reports.outcomes import Outcome
from pol_jax.reports.report import Report
from pol_jax.reports.wording.quantities import describe_distance, describe_steps

_MOST = 60
"""At most this many comparisons are drawn and listed: the worst ones."""

_WHAT = (
    "Distances are Euclidean, over all floating-point leaves. An update is what the steps changed. The noise is the "
    "largest distance between the results of two compilations of the same steps on this machine. The tolerance is "
    "calibrated from it, and decides only where it is not above the limit."
)

_COLUMNS = ("error", "noise", "tolerance", "limit", "update")


def closeness(report: Report) -> Markup | None:
    """Return the section, or None if nothing was replayed."""
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
    verb = "equals" if sum(exact) == 1 else "equal"
    return [f"{_count(sum(exact), 'step')}{where} {verb} the ledger bit for bit, which is an error of 0."]


def _as_numbers(report: Report, unit: str) -> list[str]:
    if not report.compared:
        different = sum(each.mismatch is not None for each in report.replays)
        verb = "differs" if different == 1 else "differ"
        words = f"{_count(different, unit)} {verb} from the ledger; bits were compared, and no distance was measured."
        return [words] if different else []
    outcomes = Counter(each.outcome for each in report.compared)
    counts = ", ".join(f"{outcomes[each]} {each}" for each in Outcome if outcomes[each])
    if len(report.compared) == 1:
        (only,) = report.compared
        counts = f"{describe_steps(only.span)}, {only.outcome}"
    return [f"Compared as numbers, because the bits differ on this machine: {counts}."]


def _compared(compared: Sequence[Compared]) -> list[Markup]:
    worst = sorted(compared, key=lambda each: each.severity, reverse=True)
    # The worst ones are chosen, and stand in the order of the run.
    shown = sorted(worst[:_MOST], key=lambda each: each.start)
    # Of all comparisons, not only of those that are shown: the sentence about it must hold for the whole report.
    largest = max(compared, key=lambda each: each.relative(each.error))
    description = _describe_largest(largest)
    left_out = len(compared) - len(shown)
    notes = [
        description,
        _WHAT,
        *([f"The {len(shown)} worst comparisons are shown, {left_out:,} more are not."] if left_out else []),
    ]
    return [distance_chart(description, shown), tag("p", " ".join(notes), class_="note"), _table(shown)]


def _describe_largest(compared: Compared) -> str:
    share, steps = compared.relative(compared.error), describe_steps(compared.span)
    if math.isfinite(share):
        return f"The largest error is {describe_distance(share)} of the update, in {steps}."
    return f"The largest error is in {steps}: it is not finite, or the update there is 0 or not finite."


def _table(compared: Sequence[Compared]) -> Markup:
    """Return the numbers of the chart as a table, for those who can't see it and for all others."""
    heads = (tag("th", name.capitalize(), scope="col") for name in ("step", "outcome", *_COLUMNS))
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *map(_row, compared)), class_="compared")
    return tag("details", tag("summary", "The numbers"), table)


def _row(compared: Compared) -> Markup:
    tone, sign = OUTCOMES[Outcome(compared.outcome)]
    steps = describe_steps(compared.span)
    outcome = together(tag("span", sign, class_="sign", aria_hidden="true"), compared.outcome)
    values = (
        tag("td", describe_distance(value), data_side=name.capitalize(), class_="value")
        for name, value in ((name, getattr(compared, name)) for name in _COLUMNS)
    )
    return tag("tr", tag("th", steps, scope="row"), tag("td", outcome, class_=f"outcome {tone}"), *values)


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
