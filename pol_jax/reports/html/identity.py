"""This part of the page says which model, whose, when, on which records, and what was not checked."""

from __future__ import annotations

from pol_jax.reports.html.markup import Markup, tag, together
from pol_jax.reports.report import Report
from pol_jax.reports.wording.coverage import describe_coverage
from pol_jax.reports.wording.identity import summary


def identity(report: Report) -> Markup:
    """Return the questions that a reader asks first, with their answers."""
    answers: dict[str, list[str]] = {}
    for question, answer in summary(report):
        if question == "not checked":  # stands beside the verdict
            continue
        answers.setdefault(question, []).append(answer)
    if report.coverage is not None:
        answers["replayed"] = [describe_coverage(report.coverage, report.policy)]
    listed = [
        together(tag("dt", question[0].upper() + question[1:]), *(tag("dd", line) for line in lines))
        for question, lines in answers.items()
    ]
    return tag("section", tag("h2", "What this is about"), tag("dl", *listed))
