"""The report of a verification as one HTML page: the public place of `pol_jax.reports.html`."""

from pol_jax.reports.html import render

__all__ = ["render"]
