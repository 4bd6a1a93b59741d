"""Every line of a report writes steps, distances, shares, paths and numbers by these functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from pol_jax.errors import printable
from pol_jax.protocol.spans import Span
from pol_jax.reports.drift import Drift


def describe_steps(span: Span) -> str:
    """Return the steps of a span in words.

    No step leads to the initial state, whose span starts at -1.
    """
    if span.start < 0:
        return "the initial state"
    return f"steps {span.start + 1} to {span.stop}" if span.stop > span.start + 1 else f"step {span.stop}"


def describe_distance(distance: float | None) -> str:
    """Return a distance as text. It is "0" only if the distance is exactly 0."""
    if distance is None:
        return "not finite"
    return f"{distance:.1e}" if distance else "0"


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as ``--segments`` reads them: 0, 3, 7, 8, 9 are ``0,3,7-9``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def percent(share: float) -> str:
    """Return a share in percent: two digits of one below 100%, so that small ones can be told from 0."""
    # Two digits of 99.5 and more would be written as 1e+02.
    return f"{share:.0%}" if share >= 0.995 else f"{100 * share:.2g}%"


def whole_percent(share: float) -> str:
    """Return a share that somebody chose in percent, with every digit: a confidence below 1 is never 100%."""
    return f"{(100 * Decimal(repr(share))).normalize():f}%"


def with_shares(distance: float, drift: Drift) -> str:
    """Return a distance, and its share of the distances that the verifier knows."""
    scales = (("of the distance from the initial to the final state", drift.distance), ("of d_ref", drift.d_ref))
    shares = [f"{percent(distance / scale)} {name}" for name, scale in scales if scale]
    return f"{distance:.2g}" + (f" ({', '.join(shares)})" if shares else "")


def few_paths(paths: Sequence[str]) -> str:
    """Return a few of the paths, made safe to show: they are the prover's words."""
    few = ", ".join(printable(path or "/", 60) for path in paths[:4])
    return few if len(paths) <= 4 else f"{few} and {len(paths) - 4} more leaves"


def short_claim(claim: str) -> str:
    """Return the beginning of a claim's digest, which tells the claims of one report apart."""
    return f"claim {claim[:16]}…"
