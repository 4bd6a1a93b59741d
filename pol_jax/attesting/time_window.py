"""A time window says when training took place: not before, not after, and how long the work takes at least.

These are rules without files or clocks; `beacon` and `timestamp` give the times. What each time shows:

- A beacon's round is in the commitment, and the commitment in every seed. So no step was computed before the round came
  out. This bound is shown.
- A timestamp over the commitment shows that it was there at that time. That no step was computed earlier is the
  prover's word, and they bind themselves to it: it must be before the end by the time that the work takes.
- A timestamp over the envelope of the claim shows that all steps were done at that time. This bound is shown.

A prover can make a window longer, by stamping late, but never earlier or shorter than the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

CLOCK_SLACK: Final = timedelta(minutes=5)
"""The verifier's clock may be so far behind that of an authority or a beacon."""

RESOLUTION: Final = timedelta(seconds=1)
"""A timestamp may be so much later than it says: most authorities cut off fractions of a second, and so do we."""

Basis = Literal["beacon", "timestamp of the commitment"]
_ZERO: Final = timedelta(0)


@dataclass(frozen=True)
class Timestamp:
    """A timestamp is what an authority says about bytes.

    Attributes:
        time: when the authority had their digest, UTC, in whole seconds.
        accuracy: how far ``time`` may be off, by the authority's word; zero if it says nothing.
        authority: subject of the certificate that signed (RFC 4514).
        policy: object identifier of the authority's policy.
        serial: the token's number, for asking the authority.
    """

    time: datetime
    accuracy: timedelta
    authority: str
    policy: str
    serial: int

    def describe(self, what: str) -> str:
        """Return one line that says when ``what`` was there at the latest, and on whose word."""
        return f"{what} was there on {_shown(self.time)} (± {self.accuracy}), by the word of {self.authority}."

    @property
    def earliest(self) -> datetime:
        """Return the earliest time that it may mean."""
        return self.time - self.accuracy

    @property
    def latest(self) -> datetime:
        """Return the latest time that it may mean, to the microsecond: any of its second."""
        return self.end - timedelta.resolution

    @property
    def end(self) -> datetime:
        """Return the time before which it was certainly made."""
        return self.time + self.accuracy + RESOLUTION


@dataclass(frozen=True)
class Work:
    """The work of a training is its steps, and how fast one of them can be.

    Attributes:
        steps: T.
        seconds_per_step: the fastest recorded rate.
        source: whose measure it is: the prover's record, or the verifier's own replay.
    """

    steps: int
    seconds_per_step: float
    source: Literal["recorded by the prover", "measured in this replay"]

    @property
    def least(self) -> timedelta:
        """Return the least time that all steps take at this rate.

        Raises:
            ValueError: the rate is no positive number, or gives more than a thousand years.
        """
        seconds = self.steps * self.seconds_per_step
        if not 0 <= seconds <= 3.2e10:  # NaN is refused too
            raise ValueError(
                f"{self.steps} steps of {self.seconds_per_step} seconds are no possible time of a training"
            )
        return timedelta(seconds=seconds)


@dataclass(frozen=True)
class TimeWindow:
    """A time window says when training took place, as far as it is shown.

    Attributes:
        not_before: None if nothing shows it.
        basis: what ``not_before`` rests on.
        not_after: None if nothing shows it.
        least_work: None if no rate is known.
        problems: why the times can't be true together; empty if they can.
        beacon: when the committed round came out, or None; this is shown even where ``not_before`` is a later time that
            rests on the prover's word.
    """

    not_before: datetime | None
    basis: Basis | None
    not_after: datetime | None
    least_work: timedelta | None
    problems: tuple[str, ...]
    beacon: datetime | None = None

    def __bool__(self) -> bool:
        """Say whether nothing speaks against it; an open end doesn't."""
        return not self.problems

    def describe(self) -> tuple[str, ...]:
        """Return the lines of a report: the problems first."""
        lines = list(self.problems)
        if self.not_before is None:
            lines.append(
                "Nothing shows that training didn't begin earlier: no beacon, and no timestamp on the commitment."
            )
        elif self.basis == "beacon":
            lines.append(f"Training began after {_shown(self.not_before)}: the commitment names a beacon of that time.")
        else:
            lines.append(
                f"Training began after {_shown(self.not_before)} by the prover's word, who had the commitment "
                f"timestamped then; {self._shown_by_beacon()}"
            )
        if self.not_after is None:
            lines.append("Nothing shows that training ended by some time: no timestamp on the signed claim.")
        else:
            lines.append(f"Training ended before {_shown(self.not_after)}: the signed claim was timestamped then.")
        if self.least_work is not None:
            lines.append(f"The work takes at least {self.least_work} at the fastest recorded rate.")
        return tuple(lines)

    def _shown_by_beacon(self) -> str:
        if self.beacon is None:
            return "only a beacon would show it."
        return f"what is shown is that it began after {_shown(self.beacon)}, by the beacon that the commitment names."


def window_of(
    *,
    now: datetime,
    beacon: datetime | None = None,
    commitment: Timestamp | None = None,
    envelope: Timestamp | None = None,
    work: Work | None = None,
) -> TimeWindow:
    """Return the window that the given times leave, and what speaks against it (attestation.md, section 8).

    Args:
        now: the verifier's clock.
        beacon: when the committed round came out.
        commitment: timestamp over the commitment.
        envelope: timestamp over the envelope of the claim.
        work: steps and rate.
    """
    not_before, basis = _not_before(beacon, commitment)
    not_after = envelope.end if envelope else None
    least = work.least if work else None
    problems = (
        *_out_of_order(beacon, commitment, envelope),
        *_of_the_future(now, beacon, commitment, envelope),
        *_too_short(not_before, basis, not_after, least, work),
    )
    return TimeWindow(not_before, basis, not_after, least, problems, beacon)


def _not_before(beacon: datetime | None, commitment: Timestamp | None) -> tuple[datetime | None, Basis | None]:
    """Return the later of the two: the beacon is shown, and to the timestamp the prover binds themselves."""
    if commitment is not None and (beacon is None or commitment.earliest > beacon):
        return commitment.earliest, "timestamp of the commitment"
    return (beacon, "beacon") if beacon is not None else (None, None)


def _out_of_order(beacon: datetime | None, commitment: Timestamp | None, envelope: Timestamp | None) -> Iterator[str]:
    # Accuracies count in favour of the prover: only what no true times could be is refused.
    if beacon and commitment and commitment.latest < beacon:
        yield (
            f"The commitment was timestamped on {_shown(commitment.time)} and names a beacon of {_shown(beacon)}, "
            "which nobody knew then."
        )
    if beacon and envelope and envelope.latest < beacon:
        yield (
            f"The signed claim was timestamped on {_shown(envelope.time)} and rests on a beacon of {_shown(beacon)}, "
            "which nobody knew then."
        )
    if commitment and envelope and envelope.latest < commitment.earliest:
        yield (
            f"The commitment was timestamped on {_shown(commitment.time)}, after the signed claim on "
            f"{_shown(envelope.time)}; it belongs before step 0."
        )


def _of_the_future(
    now: datetime, beacon: datetime | None, commitment: Timestamp | None, envelope: Timestamp | None
) -> Iterator[str]:
    times = {
        "The beacon": beacon,
        "The timestamp of the commitment": commitment.earliest if commitment else None,
        "The timestamp of the signed claim": envelope.earliest if envelope else None,
    }
    for what, time in times.items():
        if time is not None and time > now + CLOCK_SLACK:
            yield f"{what} is of {_shown(time)}, in the future of this machine's clock, {_shown(now)}."


def _too_short(
    not_before: datetime | None,
    basis: Basis | None,
    not_after: datetime | None,
    least: timedelta | None,
    work: Work | None,
) -> Iterator[str]:
    if not_before is None or not_after is None or least is None or work is None:
        return
    window = not_after - not_before
    # A window that ends before it begins is a problem of its own, which `_out_of_order` names.
    if _ZERO <= window < least:
        yield (
            f"The window of {window} from the {basis} to the timestamp of the signed claim is shorter than the work: "
            f"{work.steps} steps take at least {least} at {work.seconds_per_step:g} seconds a step, {work.source}."
        )


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
