"""These signs and colours of outcomes are the same on the whole page."""

from __future__ import annotations

from pol_jax.reports.outcomes import Outcome, Verdict

_GOOD, _BAD, _DOUBT, _NONE = ("good", "\u2713"), ("bad", "\u2715"), ("doubt", "?"), ("none", "\u2013")

OUTCOMES = {
    Outcome.PASSED: _GOOD,
    Outcome.FAILED: _BAD,
    Outcome.INCONCLUSIVE: _DOUBT,
    Outcome.NOT_REACHED: _NONE,
}
VERDICTS = {Verdict.ACCEPTED: _GOOD, Verdict.REJECTED: _BAD, Verdict.INCONCLUSIVE: _DOUBT}
