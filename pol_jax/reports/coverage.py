"""These values say what was replayed, and how likely that was to meet something false (section 12)."""

from __future__ import annotations

from typing import Literal

import msgspec

from pol_jax.protocol.spans import Span
from pol_jax.reports.curves import NonNegative


class Coverage(msgspec.Struct, frozen=True):
    """A coverage says what was replayed, and how likely that was to meet a false segment.

    Attributes:
        unit: what is challenged: segments of a proof, or steps of an opening.
        segments: number of segments of the proof, or of steps if these are the unit.
        replayed: the challenged segments that were replayed.
        steps: number of steps of the proof.
        steps_replayed: number of steps that were replayed, those on the way from a checkpoint included.
        fraction: the share of false segments that `detection` is about.
        detection: probability that a draw like this one meets a false segment, if that share is false. Only segments
            that were chosen at random count: it is 0 for a list and for the largest updates, unless they are all.
    """

    unit: Literal["segment", "step"]
    segments: NonNegative
    replayed: tuple[NonNegative, ...]
    steps: NonNegative
    steps_replayed: NonNegative
    fraction: float
    detection: float


class Replay(msgspec.Struct, frozen=True):
    """A replay says whether a segment, the self-test, or the steps of an opening gave what the ledger says.

    Attributes:
        segment: number of the segment, from 0; for an opening, the last of the steps.
        start: the step of the state with which the replay began.
        stop: the last step of the replay, if nothing differs.
        mismatch: the first step that differs from the ledger; None if all are equal bit for bit.
        fields: the columns of the ledger in which that step differs.
    """

    segment: NonNegative
    start: NonNegative
    stop: NonNegative
    mismatch: NonNegative | None
    fields: tuple[str, ...]

    @property
    def span(self) -> Span:
        """Return the steps that were to be executed."""
        return Span(self.start, self.stop)

    @property
    def executed(self) -> Span:
        """Return the steps that were executed and compared: a replay ends where it differs."""
        return Span(self.start, self.stop if self.mismatch is None else self.mismatch)
