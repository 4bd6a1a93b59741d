"""Trials of attacks on whole proofs of small tasks: forged anew for each seed, and judged by the verifier's stages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import attacked
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax import Choices, Proof, RandomSegments, Task, open_proof, train
from pol_jax.attacks.attack import Attack, Forged, Setting
from pol_jax.attacks.paper_rule import PaperRule, judge_by_paper
from pol_jax.attacks.transcript import parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.protocol.inventory import FILE as INVENTORY
from pol_jax.protocol.stages import Stage
from red_team.modes import MODES, Judged, judge
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
    found = [victim_of(make(steps=steps), folder / make.__name__) for make in tasks]
    return [*found, victim_of(attacked.sgd(steps=steps), folder / "keyless", None)]


def victim_of(task: Task, folder: Path, key: Ed25519PrivateKey | None = KEY) -> Victim:
    """Train twice, with two seeds, or take what was trained before; the first proof is attacked."""
    proofs = [
        open_proof(root)
        if (root / INVENTORY).exists()
        else train(task, root, choices=Choices(seed=root.name, witness_interval=1), key=key)
        for root in (folder / "victim", folder / "another")
    ]
    spec = proofs[0].commitment.state
    ends = [proof.host_leaves(task.steps) for proof in proofs]
    return Victim(task, proofs[0], state_distance(spec, ends[0], ends[1], parameters_of(spec)))


@dataclass(frozen=True)
class Extent:
    """How much is tried of each attack.

    Attributes:
        parts: false parts that are judged, for each mode.
        forgers: of different seeds, at most.
        whole: so many of them are judged by the paper's rule, and in all of ``all_modes`` even where none comes to a
            replay.
        all_modes: that judge those first ones.
        modes: that judge the later ones.
        first: so many false segments of those first ones are compared as numbers, and no other; None for every segment.
        later: likewise for the later ones. Each segment is judged by itself.
        often: whether an attack that needs one false step falsifies one in every segment.
    """

    parts: int = 100
    forgers: int = 100
    whole: int = WHOLE
    all_modes: Sequence[str] = MODES
    modes: Sequence[str] = MODES
    first: int | None = None
    later: int | None = 8
    often: bool = False

    def modes_of(self, tally: Tally) -> Sequence[str]:
        """Return the modes that judge the next forger's proof."""
        if tally.trials < self.whole:
            return self.all_modes
        early = all(tally.mode(name).ended_early or not tally.mode(name).parts for name in self.modes)
        return tuple(name for name in self.modes if name in BEFORE_REPLAY or not early)

    def is_done(self, tally: Tally) -> bool:
        """Return whether an attack was tried often enough: in each mode that goes on, or by so many forgers."""
        if tally.trials >= self.forgers:
            return True
        counts = [tally.mode(name) for name in self.modes_of(tally)]
        return tally.trials > 0 and all(each.parts >= self.parts or not each.parts for each in counts)


LARGER: Final = Extent(whole=1, all_modes=("bits", "task", "tolerance"), modes=("bits",), first=1, often=True)
"""Of tasks whose steps take long: numbers are compared in one segment of the first proof, and in single steps
(`red_team.steps`)."""


def try_once(
    attack: Attack, victims: Sequence[Victim], folder: Path, rule: PaperRule, extent: Extent, tally: Tally
) -> None:
    """Let the next forger forge, on the first task that has what the attack needs, and count what all say."""
    out, seed = folder / "forged", tally.trials + 1
    for victim in victims:
        if tally.task not in ("", victim.task.name):
            continue
        try:
            setting = Setting(victim.proof, victim.task, seed, rule.slack * victim.d_ref, extent.often)
            forged = attack.forge(setting, out)
            tally.task = victim.task.name
            if seed <= extent.whole:
                _by_paper(forged, victim, rule, tally)
            _count(forged, victim, extent, tally)
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


def _count(forged: Forged, victim: Victim, extent: Extent, tally: Tally) -> None:
    tally.cost += forged.gradients / victim.proof.segments.steps
    if forged.gain is not None:
        tally.gain = max(tally.gain or 0.0, forged.gain)
    most = extent.first if tally.trials < extent.whole else extent.later
    for mode, judged in judge(forged, victim.task, extent.modes_of(tally), most).items():
        tally.mode(mode).add(judged)
        if mode == "bits" and tally.trials < WHOLE:
            _count_draws(forged, judged, tally)


def _count_draws(forged: Forged, judged: Judged, tally: Tally) -> None:
    """Draw challenges where some segments are false, and some are not: of the proof, or of one that it starts from."""
    segments, caught = open_proof(forged.root).segments, judged.caught
    if forged.parent_steps:
        segments = open_proof(forged.parents[0]).segments
        # A chain is refused at its beginning, and only for what is false there.
        refused = judged.verdict == "rejected" and judged.stage == Stage.INITIAL_STATE.value
        caught = frozenset(map(segments.of_step, forged.parent_steps)) if refused else frozenset()
    if 0 < len(caught) < len(segments):
        tally.sampled = count_missed(forged, SAMPLED, DRAWS, caught, tally.sampled)


Report = Callable[[Tally], None]
"""Is told of an attack after each of its trials."""


def try_all(
    attacks: Sequence[Attack],
    tallies: dict[str, Tally],
    victims: Sequence[Victim],
    folder: Path,
    rule: PaperRule,
    extent: Extent,
    report: Report,
) -> None:
    """Try each attack once, then each until it was tried often enough, so that a table can be made at any time."""
    for rounds in (1, min(3, extent.forgers), extent.forgers):
        for attack in attacks:
            tally = tallies.setdefault(attack.name, Tally(attack.name))
            for _ in range(rounds):
                if tally.trials >= rounds or extent.is_done(tally):
                    break
                try_once(attack, victims, folder, rule, extent, tally)
                if not tally.task:
                    break
                report(tally)
