"""This section shows the course of the run: the loss in the ledger, and the distances between checkpoints."""

from __future__ import annotations

from pol_jax.protocol.policies import metric_of
from pol_jax.reports.html.axis import number
from pol_jax.reports.html.charts import line_chart
from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.report import Report


def course(report: Report) -> Markup | None:
    """Return the section, or None if the ledger could not be read."""
    if not report.curve:
        return None
    parts = together(tag("h3", "Learning curve"), _learning_curve(report), _updates(report))
    return tag("section", tag("h2", "Course of the run"), parts)


def _learning_curve(report: Report) -> Markup:
    # A mean is drawn in the middle of the steps that it is of.
    points = [((point.first + point.last) / 2, point.loss) for point in report.curve]
    losses = [loss for _, loss in points if loss is not None]
    if not losses:
        return tag("p", "The loss is not finite at any step.")
    description = f"The loss goes from {number(losses[0])} to {number(losses[-1])} in {report.curve[-1].last} steps."
    chart = line_chart("Loss over steps", description, points, report.curve[-1].last, y="mean loss")
    least, most = (pick(point.last - point.first + 1 for point in report.curve) for pick in (min, max))
    each = f"{least}" if least == most else f"{least} or {most}"
    steps = "is one step" if most == 1 else f"is the mean of {each} steps"
    notes = [f"Each point {steps} of the ledger. {description}"]
    if len(losses) < len(points):
        gaps = f"{len(points) - len(losses)} of {len(points)} points"
        notes.append(f"The loss is not finite in {gaps}: the line has gaps there.")
    return together(chart, tag("p", " ".join(notes), class_="note"))


def _updates(report: Report) -> Markup | None:
    metric = metric_of(report.policy) or "l2"
    if not report.updates:
        return None
    values = [(each.start, each.stop, each.magnitude) for each in report.updates]
    # A logarithmic axis has no place for 0.
    points = [((start + stop) / 2, value if value and value > 0 else None) for start, stop, value in values]
    left_out = sum(value is None for _, value in points)
    title = tag("h3", "Updates between checkpoints")
    if left_out == len(points):
        return together(title, tag("p", "No update is positive and finite."))
    shown = [value for _, value in points if value is not None]
    description = f"The distances shown are between {number(min(shown))} and {number(max(shown))}."
    label, steps = f"{metric} distance", report.curve[-1].last
    chart = line_chart("Update magnitudes over steps", description, points, steps, y=label, logarithmic=True)
    notes = [f"An update is the distance between the states of consecutive checkpoints. {description}"]
    if left_out:
        notes.append(f"{left_out} of {len(points)} updates are zero or not finite, and are left out.")
    return together(title, chart, tag("p", " ".join(notes), class_="note"))
