"""Steps whose bits differ here, compared within the tolerance that was calibrated here."""

from __future__ import annotations

from pol_jax.html.axis import number
from pol_jax.html.markup import Markup, tag
from pol_jax.report import Compared, Report

_MOST_LISTED = 100


def closeness(report: Report) -> Markup:
    """The section; nothing, where bits were enough."""
    if not report.compared:
        return Markup("")
    lines = [tag("li", _line(each)) for each in report.compared[:_MOST_LISTED]]
    more = len(report.compared) - _MOST_LISTED
    lines += [tag("li", f"{more} more")] if more > 0 else []
    note = (
        "Euclidean, over all floating-point leaves. An update is what the steps changed; the tolerance is calibrated."
    )
    title = tag("h2", "Compared within a tolerance")
    return tag("section", title, tag("ul", *lines, class_="plain"), tag("p", note, class_="note"))


def _line(compared: Compared) -> str:
    several = compared.stop > compared.start + 1
    steps = f"Steps {compared.start + 1} to {compared.stop}" if several else f"Step {compared.stop}"
    what = "Initial state" if compared.start < 0 else steps
    pairs = (("error", compared.error), ("tolerance", compared.tolerance), ("update", compared.update))
    numbers = ", ".join(f"{name} {'not finite' if value is None else number(value)}" for name, value in pairs)
    return f"{what}: {compared.outcome}; {numbers}"
