"""The public name of pages: `pol_jax.html` renders as the reports do."""

from __future__ import annotations

from example_reports import unfinished

import pol_jax
from pol_jax.reports.html.page import render


def test_the_public_name_renders_reports() -> None:
    report = unfinished(task="digits")
    assert pol_jax.html.render(report) == render(report) == report.to_html()
    assert "<title>rejected: proof of learning, digits</title>" in render(report)
