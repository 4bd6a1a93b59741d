"""Forge by every attack, and show what the rule of the 2021 paper and each mode of this project's verifier say.

    python scripts/scoreboard.py [--only NAME...] [--trials N] [--draws N] [--out DIR] [--strict]

Writes a table to the terminal, and with ``--out`` the same as ``scoreboard.md`` and ``scoreboard.json``, with a picture
where matplotlib is installed. A trial is a forger of another seed. The tasks are those of `attacked`: for each attack
the first one that has what it needs. ``--strict`` has the paper's rule use the slack of 0.008 d_ref that published
attacks were configured with, in the place of the authors' own 0.14.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import attacked
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from red_team.modes import MODES, Judged, judge
from red_team.sampling import Missed, miss_rate

from pol_jax import Choices, Proof, RandomSegments, Task, open_proof, train
from pol_jax.attacks.attack import Attack, Setting
from pol_jax.attacks.catalogue import ATTACKS, attack_named
from pol_jax.attacks.paper_rule import PUBLISHED, STRICT, PaperRule, judge_by_paper
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.cli.terminal import quiet_libraries
from pol_jax.errors import UsageError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""The victims' key; the last victim has none."""

SAMPLED = RandomSegments(confidence=0.8, fraction=0.2)
"""The policy whose misses are counted: few enough segments that a false one is missed often."""


@dataclass(frozen=True)
class Victim:
    """An honest proof, its task, and the distance between its parameters and those of another honest training."""

    task: Task
    proof: Proof
    d_ref: float


@dataclass
class Line:
    """A line of the table: one attack, over all its trials.

    Attributes:
        attack: which.
        task: the name of the task that was attacked; "" if none has what the attack needs.
        paper: what the rule of the 2021 paper said, one text a trial.
        ours: what each mode said, one a trial.
        costs: gradients over those of the victim's training, one a trial.
        missed: how often draws missed what is false; None where nothing is false.
        gains: how far the changes led, as a share of the way; one a trial of an attack that has one.
    """

    attack: Attack
    task: str = ""
    paper: list[str] = field(default_factory=list)
    ours: dict[str, list[Judged]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    costs: list[float] = field(default_factory=list)
    missed: Missed | None = None
    gains: list[float] = field(default_factory=list)

    @property
    def succeeds(self) -> bool:
        """Return whether any mode, those without a trusted source too, accepts more than is said to be allowed."""
        accepted = any(each.verdict == "accepted" for mode in MODES for each in self.ours[mode])
        return accepted and self.attack.promised and max(self.gains, default=1.0) > ALLOWED

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        accepted = sum(each == "accepted" for each in self.paper)
        miss = self.missed
        sampled = (
            f"{miss.missed}/{miss.draws}, {miss.announced:.3f} in {miss.low:.3f} to {miss.high:.3f}" if miss else ""
        )
        return [
            self.attack.name,
            f"accepted {accepted}/{len(self.paper)}",
            *(_summed(self.ours[mode]) for mode in MODES),
            f"{max(self.gains):.1e}" if self.gains else "",
            f"{sum(self.costs) / max(1, len(self.costs)):.2f}",
            str(len(self.paper)),
            sampled,
        ]


ALLOWED = 0.1
"""So much of the way may be false where numbers are compared (docs/protocol.md, section 13.1)."""

HEADINGS = ("attack", "paper's rule", *MODES, "gain", "cost", "trials", "missed by draws (announced, 95% interval)")


def main() -> None:
    """Forge, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these attacks alone")
    parser.add_argument("--trials", type=int, default=1, help="forgers of different seeds, for each attack")
    parser.add_argument("--draws", type=int, default=2000, help="challenges that are drawn where sampling decides")
    parser.add_argument("--steps", type=int, default=attacked.STEPS, help="of the victims' training")
    parser.add_argument("--strict", action="store_true", help="a slack of 0.008 d_ref")
    parser.add_argument("--out", type=Path, help="directory for scoreboard.md, scoreboard.json and a picture")
    options = parser.parse_args()
    quiet_libraries()
    chosen = [attack_named(name) for name in options.only] if options.only else ATTACKS
    rule = STRICT if options.strict else PUBLISHED
    with tempfile.TemporaryDirectory() as folder:
        tasks = (attacked.sgd, attacked.adam, attacked.mixed, attacked.phases)
        victims = [victim_of(task, Path(folder), options.steps, KEY) for task in tasks]
        victims.append(victim_of(attacked.sgd, Path(folder) / "keyless", options.steps, None))
        lines = []
        print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}", flush=True)
        for attack in chosen:
            begun = time.process_time()
            lines.append(line_of(attack, victims, Path(folder), rule, options.trials, options.draws))
            print(f"| {' | '.join(lines[-1].cells())} | <!-- {time.process_time() - begun:.0f} s -->", flush=True)
    for line in lines:
        for text in reasons(line):
            print(f"  {text}")
    if options.out:
        write(options.out, lines)


def victim_of(make: Any, folder: Path, steps: int, key: Ed25519PrivateKey | None) -> Victim:
    """Train twice, with two seeds; the first proof is attacked."""
    task = make(steps=steps)
    proofs = [
        train(task, folder / f"{make.__name__}-{seed}", choices=Choices(seed=seed, witness_interval=1), key=key)
        for seed in ("victim", "another")
    ]
    spec = proofs[0].commitment.state
    ends = [proof.host_leaves(steps) for proof in proofs]
    return Victim(task, proofs[0], state_distance(spec, ends[0], ends[1], parameters_of(spec)))


def line_of(attack: Attack, victims: Sequence[Victim], folder: Path, rule: PaperRule, trials: int, draws: int) -> Line:
    """Forge and judge as often as asked, on the first task that has what the attack needs."""
    line, out = Line(attack), folder / "forged"
    for victim in victims:
        try:
            for seed in range(1, trials + 1):
                forged = attack.forge(Setting(victim.proof, victim.task, seed, rule.slack * victim.d_ref), out)
                line.task = victim.task.name
                verdict = judge_by_paper(open_proof(out), forged.source, victim.d_ref, rule)
                line.paper.append(verdict.refusal or "accepted")
                if forged.gain is not None:
                    line.gains.append(forged.gain)
                line.costs.append(forged.gradients / victim.proof.segments.steps)
                for mode in MODES:
                    line.ours[mode].append(judge(forged, victim.task, mode))
                if seed == 1 and any(step > 0 for step in forged.false_steps):
                    line.missed = miss_rate(forged, SAMPLED, draws)
                _clear(out)
            return line
        except UsageError:
            _clear(out)
    return line


def _clear(out: Path) -> None:
    for path in (out, out.with_name(f"{out.name}.parent")):
        shutil.rmtree(path, ignore_errors=True)


def reasons(line: Line) -> list[str]:
    """Return why the first trial ended as it did, a line for each mode."""
    found = [f"{line.attack.name}, paper's rule: {line.paper[0]}"] if line.paper else []
    for mode in MODES:
        found += [f"{line.attack.name}, {mode}: {each.short}: {each.reason}" for each in line.ours[mode][:1]]
    return found


def _summed(judged: Sequence[Judged]) -> str:
    counts = Counter(each.short for each in judged)
    return ", ".join(f"{short} {count}" if len(counts) > 1 else short for short, count in counts.most_common())


def write(out: Path, lines: Sequence[Line]) -> None:
    """Write the table, all reasons, and a picture where matplotlib is installed."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [f"| {' | '.join(line.cells())} |" for line in lines]
    table = "\n".join([f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}", *rows])
    (out / "scoreboard.md").write_text(table + "\n", encoding="utf-8")
    plain = [
        {
            "attack": line.attack.name,
            "source": line.attack.source,
            "promised": line.attack.promised,
            "task": line.task,
            "paper": line.paper,
            "ours": {mode: [asdict(each) for each in line.ours[mode]] for mode in MODES},
            "gain": line.gains,
            "succeeds": line.succeeds,
            "cost": line.costs,
            "missed": asdict(line.missed) if line.missed else None,
        }
        for line in lines
    ]
    (out / "scoreboard.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    try:
        from red_team.picture import draw_scoreboard
    except ModuleNotFoundError:
        return
    draw_scoreboard(plain, out / "scoreboard.png")


if __name__ == "__main__":
    main()
