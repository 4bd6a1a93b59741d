"""These values say what was found in the numbers of the initial and of the final state."""

from __future__ import annotations

import msgspec

from pol_jax.reports.curves import NonNegative


class NonFinite(msgspec.Struct, frozen=True):
    """A non-finite leaf is one of the final state that holds a NaN or an infinity.

    Attributes:
        path: of the leaf.
        values: how many of its values are not finite.
        size: how many values it has.
    """

    path: str
    values: NonNegative
    size: NonNegative


class KolmogorovSmirnov(msgspec.Struct, frozen=True):
    """A Kolmogorov-Smirnov test says whether random leaves of the initial state look as ``init`` draws them.

    It is information, and decides nothing (section 13.4).

    Attributes:
        leaves: number of leaves that were tested.
        smallest_p: the smallest p-value of the leaves, times their number, at most 1: how likely an honest state has a
            leaf that is as unusual as the most unusual one.
        path: path of that leaf.
    """

    leaves: NonNegative
    smallest_p: float
    path: str
