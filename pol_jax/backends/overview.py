"""The terminal and the plots show these numbers of a comparison, backend by backend."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from pol_jax.backends.results import BackendOutcome, Error, Reproduction, Results
from pol_jax.errors import printable


@dataclass(frozen=True)
class Line:
    """A line holds the numbers of one backend.

    Attributes:
        machine: number of its machine; 1 is the first.
        label: its name, with that number if there are several machines.
        outcome: all that is known of it.
        bits: a letter; backends with the same one replayed the same steps to the same bits. ``A`` is the prover's.
    """

    machine: int
    label: str
    outcome: BackendOutcome
    bits: str

    @property
    def equal(self) -> bool:
        """Return whether it gave the prover's bits everywhere."""
        return all(each.exact for each in self.outcome.reproductions)

    @property
    def first_differing(self) -> int | None:
        """Return the first of the compared steps whose state or loss has other bits than the prover's."""
        return min((each.stop for each in self.outcome.reproductions if not each.exact), default=None)

    @property
    def worst_step(self) -> Reproduction:
        """Return the step with the largest error, as a share of its update."""
        return max(self.outcome.of("step"), key=lambda each: _sortable(relative(each.total)))

    @property
    def segments(self) -> tuple[tuple[Reproduction, ...], ...]:
        """Return each segment, at every committed state on its way."""
        found = dict[int, list[Reproduction]]()
        for each in self.outcome.of("segment"):
            found.setdefault(each.start, []).append(each)
        return tuple(map(tuple, found.values()))

    @property
    def judged(self) -> dict[str, int]:
        """Return how many of the steps that differ a verifier there would pass, fail, or not decide."""
        found = [each.tolerance for each in self.outcome.of("step") if each.tolerance is not None]
        return {outcome: found.count(outcome) for outcome in ("passed", "inconclusive", "failed") if outcome in found}


def relative(error: Error) -> float:
    """Return the l2 error as a share of the update; NaN where one of them is no number."""
    if error.equal:
        return 0.0
    if error.l2 is None or error.update_l2 is None:
        return math.nan
    return error.l2 / error.update_l2 if error.update_l2 else math.inf


def lines(parts: Sequence[Results]) -> list[Line]:
    """Return the backends that ran, machine by machine."""
    # Bits are equal if the digests of all states are. ``exact`` is beside them, because it covers the losses too.
    letters, found = dict[tuple[tuple[str, int, int, str, bool], ...], str](), list[Line]()
    for at, part in enumerate(parts, 1):
        for outcome in part.outcomes:
            if outcome.status == "ran":
                bits = tuple(
                    (each.kind, each.start, each.stop, each.digest, each.exact) for each in outcome.reproductions
                )
                exact = all(each.exact for each in outcome.reproductions)
                letter = "A" if exact else letters.setdefault(bits, _letter(1 + len(letters)))
                found.append(Line(at, label(outcome, at if len(parts) > 1 else None), outcome, letter))
    return found


def label(outcome: BackendOutcome, machine: int | None) -> str:
    """Return a backend's name, as it is shown."""
    return outcome.backend.name + ("" if machine is None else f" [{machine}]")


def default_lines(found: Sequence[Line]) -> list[Line]:
    """Return what jax takes by itself on each machine: an accelerator if there is one, as it comes."""
    plain = {(line.machine, line.outcome.backend.name): line for line in found}
    chosen = [
        next((plain[machine, name] for name in ("tpu", "cuda", "rocm", "cpu") if (machine, name) in plain), None)
        for machine in sorted({line.machine for line in found})
    ]
    return [line for line in chosen if line is not None]


def step_ranges(numbers: Iterable[int]) -> str:
    """Return numbers as they are given to ``--steps``: 1, 2, 3, 7 is ``1-3,7``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def plain_text(text: str) -> str:
    """Return text of a results file, as a terminal may show it: one line, no control characters."""
    return printable(re.sub(r"\s+", " ", text))


def _sortable(value: float) -> float:
    # What is no number ranks first, as in a challenge (protocol.md, section 12.2): nothing compares with a NaN.
    return math.inf if math.isnan(value) else value


def _letter(place: int) -> str:
    """Return the letter of a place: ``A`` for place 0; after ``Z`` come ``A2``, ``B2``."""
    turn, at = divmod(place, 26)
    return ascii_uppercase[at] + (str(turn + 1) if turn else "")
