"""This package renders a report as one HTML page that needs no other file: ``render(report)``."""

from __future__ import annotations

from pol_jax.reports.html.page import render

__all__ = ["render"]
