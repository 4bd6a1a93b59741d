"""What came of a replay, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes:
        start: the step of the state that it began with.
        stop: the last step that it was to reach.
        mismatch: the first step whose row came out otherwise, or None.
        fields: the columns in which that row differs.
        got: digest of that row as replayed; tells two replays apart.
    """

    start: int
    stop: int
    mismatch: int | None = None
    fields: tuple[str, ...] = ()
    got: bytes = b""

    @property
    def exact(self) -> bool:
        """Whether every step came out bit for bit."""
        return self.mismatch is None

    @property
    def last(self) -> int:
        """The last step that was executed and compared."""
        return self.stop if self.mismatch is None else self.mismatch

    def of(self, start: int, stop: int) -> Replayed:
        """What it says of a segment on its way: exact if all steps to the segment's end are; else, where it broke."""
        return Replayed(start, stop) if self.mismatch is None or self.mismatch > stop else self
