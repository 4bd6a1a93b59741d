"""A report as one HTML page that needs nothing else: ``render(report)``."""

from __future__ import annotations

from pol_jax.reports.html.page import render

__all__ = ["render"]
