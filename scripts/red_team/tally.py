"""What trials came to: counts by attack and mode, in a file that grows with the trials, so that a run can go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from pol_jax.files import write_whole
from red_team.modes import Judged

PLACE: Final = re.compile(r"(?<![\w.])/\S*(tmp|shm)\S*/")
"""A directory of one machine, in a reason."""


class ModeTally(msgspec.Struct):
    """What one mode said, over all trials of an attack.

    Attributes:
        verdicts: how often each verdict with its stage was given.
        reasons: of each of them, the reason of the first trial.
        parts: how many false parts were judged, each by itself: segments of a proof, steps of an opening; a proof that
            ended before any replay counts as one.
        passed: how many of these were reproduced.
    """

    verdicts: dict[str, int] = {}
    reasons: dict[str, str] = {}
    parts: int = 0
    passed: int = 0

    def add(self, judged: Judged) -> None:
        """Count a trial."""
        self.verdicts = {**self.verdicts, judged.short: self.verdicts.get(judged.short, 0) + 1}
        self.reasons = {judged.short: PLACE.sub("...", judged.reason), **self.reasons}
        self.parts += judged.parts
        self.passed += judged.passed

    def share(self, verdict: str) -> int:
        """Return how many trials ended so, at whatever stage."""
        return sum(count for short, count in self.verdicts.items() if short.split()[0] == verdict)

    @property
    def ended_early(self) -> bool:
        """Return whether no trial came to a replay: the stage of all is one before."""
        return bool(self.verdicts) and all(short[-2:-1] in set("12345678") for short in self.verdicts)


class Missed(msgspec.Struct):
    """How often draws of a challenge met nothing that a replay refuses.

    Attributes:
        draws: how many challenges were drawn, each with a nonce of its own.
        missed: how many of them have only segments that passed their replay.
        announced: the sum of the probabilities of that, from the numbers of segments alone.
    """

    draws: int = 0
    missed: int = 0
    announced: float = 0.0

    @property
    def expected(self) -> float:
        """Return the announced probability."""
        return self.announced / self.draws

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95% confidence interval of the measured rate (Clopper and Pearson)."""
        from scipy.stats import binomtest  # takes a second to import

        found = binomtest(self.missed, self.draws).proportion_ci()
        return float(found.low), float(found.high)

    @property
    def agrees(self) -> bool:
        """Return whether the announced probability lies in the interval."""
        low, high = self.interval
        return low <= self.expected + 1e-12 and self.expected - 1e-12 <= high


class Tally(msgspec.Struct):
    """What trials of one attack came to.

    Attributes:
        attack: its name.
        task: the name of the task that was attacked; "" if none has what the attack needs.
        trials: the forgers that forged, of the seeds 1 to this one.
        paper: how often the rule of the 2021 paper accepted, and how often it refused.
        why: the paper's first refusal, if there was one.
        modes: what each mode said.
        cost: the sum of gradients over those of the victim's training.
        gain: the farthest that changes led, as a share of the way; None for an attack that has none.
        sampled: how often draws missed; None where nothing is false, or all of it.
    """

    attack: str
    task: str = ""
    trials: int = 0
    paper: dict[str, int] = {}
    why: str = ""
    modes: dict[str, ModeTally] = {}
    cost: float = 0.0
    gain: float | None = None
    sampled: Missed | None = None

    def mode(self, name: str) -> ModeTally:
        """Return the counts of a mode."""
        if name not in self.modes:
            self.modes = {**self.modes, name: ModeTally()}
        return self.modes[name]


class Results(msgspec.Struct):
    """All that was tried.

    Attributes:
        trials: whole proofs of small tasks, by attack.
        larger: whole proofs of larger tasks, by task and then by attack.
        steps: single false steps of larger tasks, by task and then by attack.
        honest: honest proofs, by task.
        commands: what the command line said of one proof of each attack.
    """

    trials: dict[str, Tally] = {}
    larger: dict[str, dict[str, Tally]] = {}
    steps: dict[str, dict[str, Tally]] = {}
    honest: dict[str, dict[str, int]] = {}
    commands: dict[str, str] = {}


def load(path: Path) -> Results:
    """Read what was tried before, or nothing."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def save(path: Path, results: Results) -> None:
    """Write what was tried, in place of what was there."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
