"""Trials of attacks on whole proofs of small tasks: forged anew for each seed, and judged by the verifier's stages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import attacked
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax import Choices, Proof, RandomSegments, Task, open_proof, train
from pol_jax.attacks.attack import Attack, Forged, Setting
from pol_jax.attacks.paper_rule import PaperRule, judge_by_paper
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.errors import UsageError
from red_team.modes import MODES, judge
from red_team.sampling import count_missed
from red_team.tally import Tally

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""The victims' key; the last victim has none."""

SAMPLED: Final = RandomSegments(confidence=0.8, fraction=0.2)
"""The policy whose misses are counted: few enough segments that a false one is missed often."""

DRAWS: Final = 200
"""Challenges that are drawn for each of the first `WHOLE` forgers."""

WHOLE: Final = 10
"""So many forgers are judged by the paper's rule, and by every mode even where no mode comes to a replay."""

BEFORE_REPLAY: Final = ("bits", "bundle")
"""The modes that go on after that where no trial came to a replay: the others go through the same stages till there."""


@dataclass(frozen=True)
class Victim:
    """An honest proof, its task, and the distance between its parameters and those of another honest training."""

    task: Task
    proof: Proof
    d_ref: float


def victims_in(folder: Path, steps: int) -> list[Victim]:
    """Train everything that is attacked."""
    tasks = (attacked.sgd, attacked.adam, attacked.mixed, attacked.phases)
    found = [victim_of(task, folder, steps, KEY) for task in tasks]
    return [*found, victim_of(attacked.sgd, folder / "keyless", steps, None)]


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


def is_done(tally: Tally, parts: int, most: int) -> bool:
    """Return whether an attack was tried often enough: in each mode that goes on, or by ``most`` forgers."""
    if tally.trials >= most:
        return True
    counts = [tally.mode(name) for name in modes_of(tally)]
    return tally.trials > 0 and all(each.parts >= parts or not each.parts for each in counts)


def modes_of(tally: Tally) -> Sequence[str]:
    """Return the modes that judge the next forger's proof."""
    if tally.trials < WHOLE:
        return MODES
    early = all(tally.mode(name).ended_early or not tally.mode(name).parts for name in MODES)
    return BEFORE_REPLAY if early else MODES


def try_once(attack: Attack, victims: Sequence[Victim], folder: Path, rule: PaperRule, tally: Tally) -> None:
    """Let the next forger forge, on the first task that has what the attack needs, and count what all say."""
    out, seed, modes = folder / "forged", tally.trials + 1, modes_of(tally)
    for victim in victims:
        if tally.task not in ("", victim.task.name):
            continue
        try:
            forged = attack.forge(Setting(victim.proof, victim.task, seed, rule.slack * victim.d_ref), out)
            tally.task = victim.task.name
            if seed <= WHOLE:
                _by_paper(forged, victim, rule, tally)
            _count(forged, victim, modes, tally)
            tally.trials = seed
            return
        except UsageError:  # the task lacks something: it is the next one's turn
            continue
        finally:
            for path in (out, out.with_name(f"{out.name}.parent")):
                shutil.rmtree(path, ignore_errors=True)


def _by_paper(forged: Forged, victim: Victim, rule: PaperRule, tally: Tally) -> None:
    verdict = judge_by_paper(open_proof(forged.root), forged.source, victim.d_ref, rule)
    said = "accepted" if verdict.accepted else "refused"
    tally.paper = {**tally.paper, said: tally.paper.get(said, 0) + 1}
    tally.why = tally.why or verdict.refusal or ""


def _count(forged: Forged, victim: Victim, modes: Sequence[str], tally: Tally) -> None:
    tally.cost += forged.gradients / victim.proof.segments.steps
    if forged.gain is not None:
        tally.gain = max(tally.gain or 0.0, forged.gain)
    segments = len(open_proof(forged.root).segments)
    for mode, judged in judge(forged, victim.task, modes).items():
        tally.mode(mode).add(judged)
        if mode == "bits" and tally.trials < WHOLE and 0 < len(judged.caught) < segments:
            tally.sampled = count_missed(forged, SAMPLED, DRAWS, judged.caught, tally.sampled)


Report = Callable[[Tally], None]
"""Is told of an attack after each of its trials."""


def try_all(
    attacks: Sequence[Attack],
    tallies: dict[str, Tally],
    victims: Sequence[Victim],
    folder: Path,
    rule: PaperRule,
    parts: int,
    most: int,
    report: Report,
) -> None:
    """Try each attack once, then each until it was tried often enough, so that a table can be made at any time."""
    for rounds in (1, min(3, most), most):
        for attack in attacks:
            tally = tallies.setdefault(attack.name, Tally(attack.name))
            for _ in range(rounds):
                if tally.trials >= rounds or is_done(tally, parts, most):
                    break
                try_once(attack, victims, folder, rule, tally)
                if not tally.task:
                    break
                report(tally)
