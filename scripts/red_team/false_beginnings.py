"""False initial states: what attacks put in the place of the state that the committed key gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pol_jax.attacks.interpolation import rank_matched
from pol_jax.attacks.transcript import moved
from pol_jax.program.artifact import executing
from pol_jax.protocol.trees import HostLeaves
from pol_jax.verifying.initial_comparison import judge_initial_state
from red_team.honest_run import HonestRun
from red_team.modes import Judged, judged
from red_team.tally import Tally


def _stolen(honest_run: HonestRun, initial: HostLeaves, draw: np.random.Generator) -> HostLeaves:
    return [honest_run.target[at] if at in honest_run.places else leaf for at, leaf in enumerate(initial)]


def _sorted(honest_run: HonestRun, initial: HostLeaves, draw: np.random.Generator) -> HostLeaves:
    return rank_matched(initial, honest_run.target, honest_run.places)


def _nearly_drawn(honest_run: HonestRun, initial: HostLeaves, draw: np.random.Generator) -> HostLeaves:
    """Return a state from which training leads elsewhere: a part of the way to the target, as an inversion ends."""
    return moved(initial, honest_run.target, honest_run.places, float(10.0 ** -draw.uniform(1, 4)) * honest_run.d_ref)


def _negated_zeros(honest_run: HonestRun, initial: HostLeaves, draw: np.random.Generator) -> HostLeaves:
    return [np.where(leaf == 0, -leaf, leaf) if at in honest_run.places else leaf for at, leaf in enumerate(initial)]


BEGINNINGS: Final[Mapping[str, Callable[[HonestRun, HostLeaves, np.random.Generator], HostLeaves]]] = {
    "stolen-weights": _stolen,
    "rank-matched-start": _sorted,
    "inverse-gradient": _nearly_drawn,
    "signs-of-first-zeros": _negated_zeros,
}
"""What attacks make of the initial state that a key gives."""


def try_beginnings(
    honest_run: HonestRun, tallies: dict[str, Tally], parts: int, report: Callable[[Tally], None], every: int = 1
) -> None:
    """Forge initial states of commitments of different seeds; each ``every``-th is judged as numbers too."""
    program = honest_run.bench.program
    for name, forge in BEGINNINGS.items():
        tally = tallies.setdefault(name, Tally(name, honest_run.bench.task.name))
        for seed in range(tally.trials, parts):
            key = honest_run.bench.first_key(seed)
            with executing(program.signature):
                initial = [np.array(leaf) for leaf in program.init(key)]
            after = forge(honest_run, initial, np.random.default_rng(seed))
            tally.trials = seed + 1
            if all(a.tobytes() == b.tobytes() for a, b in zip(after, initial, strict=True)):
                continue
            tally.mode("bits").add(Judged("rejected", 7, "other bits"))
            if seed % every == 0:
                found = judge_initial_state(program, key, after)
                tally.mode("tolerance").add(judged(found.outcome, found.reasons, 7))
        report(tally)
