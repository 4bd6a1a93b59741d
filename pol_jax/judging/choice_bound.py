"""A random draw of steps bounds how far a prover's choices near ties could have led a run (section 14.2).

Let y_t be what the prover's entries did in step t: the distance between this machine's result with them and without.
It is known of q steps that were drawn at random, and 0 in most of an honest run. Let M be the most that near ties could
have done in one of the drawn steps, and C the draw's confidence. Two things hold, each with confidence C:

1. Fewer than 1 - (1 - C)^(1/q) of all steps have a y_t beyond M: of more, the draw would have met one. What these few
   hide is what few false steps hide: no draw of this size meets them.
2. The mean of min(y_t, M) over all steps is at most M m, where m is the largest number with q KL(x || m) <= ln(1 / (1 -
   C)), x is the mean of min(y_t, M) / M over the drawn ones, and KL the relative entropy of two coins (Hoeffding 1963,
   theorem 1, for numbers from 0 to 1; section 6 has it for draws without replacement). M comes from the draw, but where
   1 holds, M is at least the quantile that 1 is about, and for a larger M the bound is only larger.

Nothing is supposed about how the prover spreads the choices: in all steps or in a few, or where ties move most. Of an
honest run, whose y_t are 0 or small, M (1 - (1 - C)^(1/q)) is counted a step, and not M.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_HALVINGS: Final = 60
"""A bisection has this many steps: more than a double has bits."""


def mean_choice(moved: Sequence[float], most: float, drawn: int, confidence: float) -> float:
    """Return the largest mean of what choices did, over all steps, that a draw leaves possible.

    Args:
        moved: what choices did in the drawn steps that had some; none of them is beyond ``most``.
        most: what near ties could have done in one of these steps.
        drawn: how many steps were drawn.
        confidence: of the draw; with 1, nothing but ``most`` is certain.
    """
    # With confidence 1 no draw excludes anything: every step may have done as much as the largest one could.
    if not most or math.isinf(most) or confidence >= 1:
        return most
    seen = min(1.0, sum(each / most for each in moved) / drawn)
    return most * upper_bound(seen, math.log(1 / (1 - confidence)) / drawn)


def upper_bound(mean: float, allowed: float) -> float:
    """Return the largest m in [mean, 1] with KL(mean || m) <= allowed, by bisection."""
    low, high = mean, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _relative_entropy(mean, middle) <= allowed else (low, middle)
    return high


def _relative_entropy(x: float, m: float) -> float:
    """Return KL(x || m) of two coins, 0 < m <= 1; m is 1 where rounding leaves nothing between."""
    # A coin that always shows heads excludes the smallest share of tails.
    if m >= 1 > x:
        return math.inf
    heads = x * math.log(x / m) if x else 0.0
    tails = (1 - x) * math.log((1 - x) / (1 - m)) if x < 1 else 0.0
    return heads + tails
