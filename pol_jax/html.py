"""This is the public name of `pol_jax.reports.html`, which renders a report as one HTML page."""

from pol_jax.reports.html import render

__all__ = ["render"]
