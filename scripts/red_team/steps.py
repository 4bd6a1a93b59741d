"""Trials of single false steps: one honest run and one calibration serve all attacks.

A whole forged proof of ResNet-20 for each trial would take days. What a replay judges is a step, from a state that the
proof gives to the next; so the forged step starts from a state of an honest run, and is judged by the verifier's own
functions, by bits, as numbers, and with the decisions of the honest step. Each trial draws a place in the run, a
direction, and how strongly the forger goes that way, from a tenth of the published strength on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from pol_jax.attacks.steering import pushed
from pol_jax.attacks.transcript import moved, state_distance
from pol_jax.protocol.decision_entries import entries_by_site
from pol_jax.protocol.trees import HostLeaves
from pol_jax.proving.decision_log import DecisionLog
from pol_jax.reports.outcomes import Outcome
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.decided_spans import FollowedSteps
from red_team.false_steps import FORMS
from red_team.honest_run import HonestRun, Place
from red_team.modes import Judged, judged
from red_team.tally import Tally

SMALLEST_PUSH: Final = -30
"""Pushes are searched from 2 to this power, as a share of the update, up to all of it."""

DECIDED_EVERY: Final = 10
"""Each such trial is judged with decisions too, which takes as many executions as a whole calibration."""


def try_steps(
    honest_run: HonestRun, tallies: dict[str, Tally], parts: int, report: Callable[[Tally], None], every: int = 1
) -> None:
    """Forge steps in every form until so many were judged, place after place, and search how far a push may go.

    Each ``every``-th is judged as numbers too.
    """
    each_place = -(-parts // len(honest_run.states))
    for number, step in enumerate(honest_run.states):
        place, followed = honest_run.at(step), list[FollowedSteps]()
        for name, forge in FORMS.items():
            tally = tallies.setdefault(name, Tally(name, honest_run.bench.task.name))
            if tally.trials >= (number + 1) * each_place:
                continue
            for trial in range(each_place):
                draw = np.random.default_rng((number, trial, len(name)))
                after = forge(place, draw, 10.0 ** -draw.random())
                if any(a.tobytes() != b.tobytes() for a, b in zip(after, place.honest, strict=True)):
                    tally.mode("bits").add(Judged("rejected", 9, "other bits"))
                    if trial % every == 0:
                        _judge(place, after, trial, followed, tally)
                tally.trials += 1
            report(tally)
        tally = tallies.setdefault("steering", Tally("steering", honest_run.bench.task.name))
        if tally.trials <= number:
            _search(place, tally)
            tally.trials += 1
            report(tally)


def _judge(place: Place, after: HostLeaves, trial: int, followed: list[FollowedSteps], tally: Tally) -> None:
    """Count what numbers and, now and then, decisions say of a false step."""
    found = judge_span(place.honest_run.made, place.before, after, [place.inputs])
    tally.mode("tolerance").add(judged(found.outcome, found.reasons))
    if trial % DECIDED_EVERY == 0:
        if not followed:
            followed.append(_follow(place))
        decided = followed[0].judge(after, None)
        said = decided if decided.outcome is Outcome.PASSED else found
        tally.mode("decisions").add(judged(said.outcome, said.reasons))


def _follow(place: Place) -> FollowedSteps:
    """Follow the step with the decisions that an honest prover writes down."""
    honest_run, steps = place.honest_run, place.honest_run.observed
    log = DecisionLog(honest_run.bench.program, steps)
    written = log.write(place.before, place.honest, [place.inputs])
    entries = {each.step: entries_by_site(each, steps.kinds, "this step") for each in written}
    return FollowedSteps(steps, honest_run.made, place.before, [place.inputs], entries)


def _search(place: Place, tally: Tally) -> None:
    """Find the largest push towards the target that passes as numbers, in several directions, by halving."""
    for direction in _directions(place):
        low, high = SMALLEST_PUSH, 0
        while high - low > 1:
            middle = (low + high) // 2
            after = direction(2.0**middle)
            found = judge_span(place.honest_run.made, place.before, after, [place.inputs])
            low, high = (middle, high) if found.outcome is Outcome.PASSED else (low, middle)
        after = direction(2.0**low)
        passes = judge_span(place.honest_run.made, place.before, after, [place.inputs]).outcome
        tally.mode("tolerance").add(judged(passes, ("",)))
        if passes is Outcome.PASSED:
            off = state_distance(place.honest_run.spec, place.honest, after, place.honest_run.places)
            tally.gain = max(tally.gain or 0.0, off / place.update if place.update else 0.0)


def _directions(place: Place) -> Iterator[Callable[[float], HostLeaves]]:
    """Yield pushes by a share of the update: along the way to the target, by last places, and in one leaf alone."""
    honest_run, update = place.honest_run, place.update
    yield lambda share: moved(place.honest, honest_run.target, honest_run.places, share * update)
    draw = np.random.default_rng(place.step)
    units = 2.0**-SMALLEST_PUSH / 64
    yield lambda share: pushed(place.honest, honest_run.target, honest_run.places, share * units, draw)
    largest = max(honest_run.places, key=lambda at: place.honest[at].size)
    yield lambda share: moved(place.honest, honest_run.target, (largest,), share * update)
