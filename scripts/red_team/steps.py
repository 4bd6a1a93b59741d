"""Trials of single false steps, and of false initial states: one honest run and one calibration serve all attacks.

A whole forged proof of ResNet-20 for each trial would take days. What a replay judges is a step, from a state that the
proof gives to the next; so the forged step starts from a state of an honest run, and is judged by the verifier's own
functions, by bits, as numbers, and with the decisions of the honest step. Each trial draws a place in the run, a
direction, and how strongly the forger goes that way, from a tenth of the published strength on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from figures.bench import Bench

from pol_jax import Arrays, Task, load_task
from pol_jax.attacks.interpolation import rank_matched
from pol_jax.attacks.lies import DECAY, RATE
from pol_jax.attacks.paper_rule import PUBLISHED
from pol_jax.attacks.steering import TINY, pushed
from pol_jax.attacks.transcript import State, line, moved, parameters_of, state_distance
from pol_jax.judging.leaf_distances import is_floating
from pol_jax.program.artifact import executing
from pol_jax.protocol.decision_entries import entries_by_site
from pol_jax.protocol.trees import StateSpec
from pol_jax.proving.decision_log import DecisionLog
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilations
from pol_jax.verifying.decided_spans import FollowedSteps
from pol_jax.verifying.initial_comparison import judge_initial_state
from pol_jax.verifying.observed_steps import ObservedSteps
from red_team.modes import Judged
from red_team.shared import remembered
from red_team.tally import Tally

RECORDS, BATCH, INTERVAL, PLACES = 2000, 16, 10, 10
"""Of CIFAR-10, so many records; the batch of ResNet-20; places of an honest run from which steps are forged."""

SMALLEST_PUSH: Final = -30
"""Pushes are searched from 2 to this power, as a share of the update, up to all of it."""

DECIDED_EVERY: Final = 10
"""Each such trial is judged with decisions too, which takes as many executions as a whole calibration."""


def task_named(name: str, data_dir: Path | None, steps: int) -> Task:
    """Return a task; CIFAR-10 with some of its records, and smaller batches."""
    task = load_task(name, data_dir=data_dir, steps=steps)
    if name != "cifar10":
        return task
    records = [task.source[index] for index in range(RECORDS)]
    kept = {leaf: np.stack([np.asarray(each[leaf]) for each in records]) for leaf in records[0]}
    return replace(task, source=Arrays(kept), batch_size=BATCH)


@dataclass(frozen=True)
class Place:
    """A place in an honest run, with all that a forger and a verifier know there.

    Attributes:
        ground: the run.
        step: the number of the step to be forged.
        before: the state before it.
        honest: the state after it.
        inputs: of the step.
        other: inputs of another step, whose batch may be used instead.
    """

    ground: Ground
    step: int
    before: State
    honest: State
    inputs: StepInput
    other: StepInput

    @property
    def update(self) -> float:
        """Return the length of the honest update of the parameters."""
        return state_distance(self.ground.spec, self.before, self.honest, self.ground.places)

    def with_batch(self, batch: Sequence[np.ndarray]) -> State:
        """Return the state after a true step on other records."""
        return self.ground.made.reference.run(self.before, [replace(self.inputs, batch=tuple(batch))])


@dataclass(frozen=True)
class Ground:
    """An honest run of a task, and this machine's compilations of it.

    Attributes:
        bench: runs the steps.
        made: its compilations, which remember what they executed.
        steps: of the run.
        d_ref: the distance between its final parameters and those of a run of another seed.
        target: the final state of that other run, which a forger claims to reach.
    """

    bench: Bench
    made: Compilations
    steps: int
    d_ref: float
    target: State
    states: Mapping[int, State]

    @classmethod
    def of(cls, task: Task, steps: int) -> Ground:
        """Train twice, and keep the states at evenly spaced places of the first run."""
        bench = Bench.of(task)
        at = sorted({int(step) for step in np.linspace(0, steps - 1, PLACES)})
        states = bench.states(0, [*at, steps])
        target = bench.states(1, [steps])[steps]
        spec = bench.program.signature.state
        d_ref = state_distance(spec, states[steps], target, parameters_of(spec))
        return cls(bench, remembered(bench.made), steps, d_ref, target, {step: states[step] for step in at})

    @property
    def spec(self) -> StateSpec:
        """Return the leaves of a state."""
        return self.bench.program.signature.state

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Return the places of the parameters."""
        return parameters_of(self.spec)

    @cached_property
    def observed(self) -> ObservedSteps:
        """Return the step with its decisions in view."""
        return ObservedSteps(self.bench.program, [each.variant for each in self.made.every])

    def at(self, step: int) -> Place:
        """Return the place before ``step + 1``."""
        inputs, other = self.bench.inputs(0, step, 2)
        before = self.states[step]
        return Place(self, step + 1, before, self.made.reference.run(before, [inputs]), inputs, other)


Forge = Callable[[Place, np.random.Generator, float], State]
"""Returns a false state after a step; the last argument is a strength, of which 1 is the published form."""


def _on_line(place: Place, draw: np.random.Generator, strength: float) -> State:
    ground = place.ground
    left = max(1, int((ground.steps - place.step + 1) / strength))
    return line(ground.spec, place.before, ground.target, left)[1]


def _pulled(place: Place, draw: np.random.Generator, strength: float) -> State:
    ground = place.ground
    pull = strength * PUBLISHED.slack * ground.d_ref / (2 * INTERVAL)
    return moved(place.honest, ground.target, ground.places, pull)


def _smaller(place: Place, draw: np.random.Generator, strength: float) -> State:
    return moved(place.before, place.ground.target, place.ground.places, 0.9 * strength * place.update)


def _poison(place: Place, draw: np.random.Generator, strength: float) -> State:
    return _at_parameters(place, lambda a, b: a - strength * (b - a))


def _rate(place: Place, draw: np.random.Generator, strength: float) -> State:
    return _at_parameters(place, lambda a, b: a + (1 + strength * (RATE - 1)) * (b - a))


def _decay(place: Place, draw: np.random.Generator, strength: float) -> State:
    return _at_parameters(place, lambda a, b: b - strength * DECAY * a)


def _at_parameters(place: Place, value: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> State:
    found = list(place.honest)
    for at in place.ground.places:
        found[at] = value(place.before[at], place.honest[at]).astype(place.honest[at].dtype)
    return found


def _batch(place: Place, draw: np.random.Generator, strength: float) -> State:
    return place.with_batch(place.other.batch)


def _records(place: Place, draw: np.random.Generator, strength: float) -> State:
    """Replace one record of the batch by another one: the least that adding or leaving out data can do."""
    at, by = int(draw.integers(len(place.inputs.indices))), int(draw.integers(len(place.inputs.indices)))
    batch = [np.array(leaf) for leaf in place.inputs.batch]
    for leaf, other in zip(batch, place.other.batch, strict=True):
        leaf[at] = other[by]
    return place.with_batch(batch)


def _half(place: Place, draw: np.random.Generator, strength: float) -> State:
    size = len(place.inputs.indices)
    half = draw.permutation(size)[np.arange(size) % (size // 2)]
    return place.with_batch([leaf[half] for leaf in place.inputs.batch])


def _glue(place: Place, draw: np.random.Generator, strength: float) -> State:
    return place.ground.target


def _momentum(place: Place, draw: np.random.Generator, strength: float) -> State:
    """Replace the momentum after the step by one that leads towards the target."""
    ground, found = place.ground, list(place.honest)
    by_path = {leaf.path: at for at, leaf in enumerate(ground.spec)}
    for at in ground.places:
        name = ground.spec[at].path.removeprefix("/params")
        for path, own in by_path.items():
            if path.endswith(f"/trace{name}"):
                found[own] = (strength * (ground.target[at] - place.honest[at])).astype(found[own].dtype)
    return found


def _integers(place: Place, draw: np.random.Generator, strength: float) -> State:
    whole = [at for at, leaf in enumerate(place.ground.spec) if leaf.prng is None and "int" in leaf.dtype]
    return [np.asarray(leaf + 1, leaf.dtype) if at in whole else leaf for at, leaf in enumerate(place.honest)]


def _zeros(place: Place, draw: np.random.Generator, strength: float) -> State:
    return [np.where(leaf == 0, -leaf, leaf) if leaf.dtype == np.float32 else leaf for leaf in place.honest]


def _low_precision(place: Place, draw: np.random.Generator, strength: float) -> State:
    """Move every leaf of low precision by one unit in the last place."""
    coarse = [at for at, leaf in enumerate(place.ground.spec) if leaf.dtype in ("bfloat16", "float16")]
    return [np.asarray(np.nextafter(x, x.dtype.type(4))) if at in coarse else x for at, x in enumerate(place.honest)]


def _amplify(place: Place, draw: np.random.Generator, strength: float) -> State:
    """Put tiny first moments where both moments are 0, which the next step divides by next to nothing."""
    found, by_path = list(place.honest), {leaf.path: at for at, leaf in enumerate(place.ground.spec)}
    for path, at in by_path.items():
        if "/mu/" in path and (second := by_path.get(path.replace("/mu/", "/nu/"))) is not None:
            dead = (place.honest[at] == 0) & (place.honest[second] == 0)
            found[at] = np.where(dead, strength * TINY, place.honest[at]).astype(place.honest[at].dtype)
    return found


def _one_leaf(place: Place, draw: np.random.Generator, strength: float) -> State:
    """Move one leaf alone, chosen by chance, by a hundredth of its own update: the others stay true."""
    floating = [at for at, leaf in enumerate(place.ground.spec) if is_floating(leaf.dtype)]
    at, found = int(draw.choice(floating)), list(place.honest)
    update = place.honest[at] - place.before[at]
    found[at] = (place.honest[at] + 0.01 * strength * update).astype(update.dtype)
    return found


FORMS: Final[Mapping[str, Forge]] = {
    "interpolation": _on_line,
    "directed-retraining": _pulled,
    "blindfold-top-q": _smaller,
    "poisoned-step": _poison,
    "forged-batches": _batch,
    "data-subtraction": _records,
    "data-addition": _records,
    "other-rate": _rate,
    "other-decay": _decay,
    "half-batch": _half,
    "glued-runs": _glue,
    "target-in-optimizer": _momentum,
    "integer-leaves": _integers,
    "signs-of-zeros": _zeros,
    "low-precision-leaves": _low_precision,
    "optimizer-amplification": _amplify,
    "one-leaf": _one_leaf,
}
"""What each attack makes of one step; attacks on the program or the documents have no such form."""


def _stolen(ground: Ground, initial: State, draw: np.random.Generator) -> State:
    return [ground.target[at] if at in ground.places else leaf for at, leaf in enumerate(initial)]


def _sorted(ground: Ground, initial: State, draw: np.random.Generator) -> State:
    return rank_matched(initial, ground.target, ground.places)


def _nearly_drawn(ground: Ground, initial: State, draw: np.random.Generator) -> State:
    """Return a state from which training leads elsewhere: a part of the way to the target, as an inversion ends."""
    return moved(initial, ground.target, ground.places, float(10.0 ** -draw.uniform(1, 4)) * ground.d_ref)


def _negated_zeros(ground: Ground, initial: State, draw: np.random.Generator) -> State:
    return [np.where(leaf == 0, -leaf, leaf) if at in ground.places else leaf for at, leaf in enumerate(initial)]


BEGINNINGS: Final[Mapping[str, Callable[[Ground, State, np.random.Generator], State]]] = {
    "stolen-weights": _stolen,
    "rank-matched-start": _sorted,
    "inverse-gradient": _nearly_drawn,
    "signs-of-first-zeros": _negated_zeros,
}
"""What attacks make of the initial state that a key gives."""


def try_beginnings(
    ground: Ground, tallies: dict[str, Tally], parts: int, report: Callable[[Tally], None], every: int = 1
) -> None:
    """Forge initial states of commitments of different seeds; each ``every``-th is judged as numbers too."""
    program = ground.bench.program
    for name, forge in BEGINNINGS.items():
        tally = tallies.setdefault(name, Tally(name, ground.bench.task.name))
        for seed in range(tally.trials, parts):
            key = ground.bench.first_key(seed)
            with executing(program.signature):
                initial = [np.array(leaf) for leaf in program.init(key)]
            after = forge(ground, initial, np.random.default_rng(seed))
            tally.trials = seed + 1
            if all(a.tobytes() == b.tobytes() for a, b in zip(after, initial, strict=True)):
                continue
            tally.mode("bits").add(Judged("rejected", 7, "other bits"))
            if seed % every == 0:
                found = judge_initial_state(program, key, after)
                tally.mode("tolerance").add(_said(found.outcome, found.reasons, 7))
        report(tally)


def try_steps(
    ground: Ground, tallies: dict[str, Tally], parts: int, report: Callable[[Tally], None], every: int = 1
) -> None:
    """Forge steps in every form until so many were judged, place after place, and search how far a push may go.

    Each ``every``-th is judged as numbers too.
    """
    each_place = -(-parts // len(ground.states))
    for number, step in enumerate(ground.states):
        place, followed = ground.at(step), list[FollowedSteps]()
        for name, forge in FORMS.items():
            tally = tallies.setdefault(name, Tally(name, ground.bench.task.name))
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
        tally = tallies.setdefault("steering", Tally("steering", ground.bench.task.name))
        if tally.trials <= number:
            _search(place, tally)
            tally.trials += 1
            report(tally)


def _judge(place: Place, after: State, trial: int, followed: list[FollowedSteps], tally: Tally) -> None:
    """Count what numbers and, now and then, decisions say of a false step."""
    found = judge_span(place.ground.made, place.before, after, [place.inputs])
    tally.mode("tolerance").add(_said(found.outcome, found.reasons))
    if trial % DECIDED_EVERY == 0:
        if not followed:
            followed.append(_follow(place))
        decided = followed[0].judge(after, None)
        said = decided if decided.outcome is Outcome.PASSED else found
        tally.mode("decisions").add(_said(said.outcome, said.reasons))


def _follow(place: Place) -> FollowedSteps:
    """Follow the step with the decisions that an honest prover writes down."""
    ground, steps = place.ground, place.ground.observed
    log = DecisionLog(ground.bench.program, steps)
    written = log.write(place.before, place.honest, [place.inputs])
    entries = {each.step: entries_by_site(each, steps.kinds, "this step") for each in written}
    return FollowedSteps(steps, ground.made, place.before, [place.inputs], entries)


def _said(outcome: Outcome, reasons: Sequence[str], stage: int = 9) -> Judged:
    verdict = {Outcome.PASSED: "accepted", Outcome.FAILED: "rejected"}.get(outcome, "inconclusive")
    passed = outcome is Outcome.PASSED
    return Judged(verdict, 0 if passed else stage, reasons[0], 1, int(passed))


def _search(place: Place, tally: Tally) -> None:
    """Find the largest push towards the target that passes as numbers, in several directions, by halving."""
    for direction in _directions(place):
        low, high = SMALLEST_PUSH, 0
        while high - low > 1:
            middle = (low + high) // 2
            after = direction(2.0**middle)
            found = judge_span(place.ground.made, place.before, after, [place.inputs])
            low, high = (middle, high) if found.outcome is Outcome.PASSED else (low, middle)
        after = direction(2.0**low)
        passes = judge_span(place.ground.made, place.before, after, [place.inputs]).outcome
        tally.mode("tolerance").add(_said(passes, ("",)))
        if passes is Outcome.PASSED:
            off = state_distance(place.ground.spec, place.honest, after, place.ground.places)
            tally.gain = max(tally.gain or 0.0, off / place.update if place.update else 0.0)


def _directions(place: Place) -> Iterator[Callable[[float], State]]:
    """Yield pushes by a share of the update: along the way to the target, by last places, and in one leaf alone."""
    ground, update = place.ground, place.update
    yield lambda share: moved(place.honest, ground.target, ground.places, share * update)
    draw = np.random.default_rng(place.step)
    yield lambda share: pushed(place.honest, ground.target, ground.places, share * 2.0**-SMALLEST_PUSH / 64, draw)
    largest = max(ground.places, key=lambda at: place.honest[at].size)
    yield lambda share: moved(place.honest, ground.target, (largest,), share * update)
