"""A replay gives a value that says which steps were executed, and where they first differ from the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from pol_jax.protocol.spans import Span
from pol_jax.reports.coverage import Replay


@dataclass(frozen=True)
class ReplayResult:
    """A replay result says which steps were executed, and where the first difference was.

    Attributes:
        span: the steps that were to be executed.
        mismatch: the first step whose row differs from the ledger's, or None.
        fields: the columns in which that row differs.
        got: digest of that row as replayed; it tells two replays apart that differ at the same step.
    """

    span: Span
    mismatch: int | None = None
    fields: tuple[str, ...] = ()
    got: bytes = b""

    @property
    def exact(self) -> bool:
        """Return whether the replay gave the ledger's rows bit for bit."""
        return self.mismatch is None

    @property
    def last(self) -> int:
        """Return the last step that was executed and compared."""
        return self.span.stop if self.mismatch is None else self.mismatch

    def for_target(self, target: Span) -> ReplayResult:
        """Return what the replay says of a target on its route: exact up to its end, or where the replay ended.

        A target after the first difference was not reached. It has the same result as the one that differs.
        """
        return ReplayResult(target) if self.mismatch is None or self.mismatch > target.stop else self


def replay_of(segment: int, result: ReplayResult) -> Replay:
    """Return the result of a replay as a report shows it."""
    return Replay(segment, result.span.start, result.span.stop, result.mismatch, result.fields)
