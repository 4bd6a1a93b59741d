"""A probe measured how much the update of a step depends on its batch and on its state (section 13.1)."""

from __future__ import annotations

from typing import Final

import msgspec

from pol_jax.reports.curves import NonNegative

NOMINAL: Final = 1e-3
"""A dependence is nominal below this share of the update. Other records or other weights make another update of an
honest step; a step that hardly changes with them leads where its program says."""


class Dependence(msgspec.Struct, frozen=True):
    """A dependence says how much a step's update changes with other numbers: a share of the larger one, at most 2.

    It is information, and decides nothing. Each share is that of the leaf that depends least, among those that hold at
    least a sixteenth of the values that the step moves.

    Attributes:
        step: which one was tried.
        batch: the change by a batch whose numbers stand in other places; None if it is not finite, nothing moves, or
            no places would make it another one.
        batch_leaf: path of the leaf that depends on it least; None likewise.
        state: the change by a state whose floating-point numbers stand in other places of their leaves; likewise.
        state_leaf: path of the leaf that depends on it least; None likewise.
    """

    step: NonNegative
    batch: float | None
    batch_leaf: str | None
    state: float | None
    state_leaf: str | None
