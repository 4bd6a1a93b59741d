"""These attacks push every step of a run towards a target, by less than a tolerance allows.

They are this project's own, against its own rules (docs/protocol.md, sections 13.1 and 14.1). The forger says that the
run was made on another processor, so that numbers are compared in place of bits. They have the verifier's code, and
push as far as it lets them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, needed, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.retraining import retrain
from pol_jax.attacks.transcript import Change, execute, parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.judging.leaf_numbers import is_floating
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilations, compile_variants

STEPS: Final = 24
"""A steered run is short: each step is tried several times under every compilation."""

LARGEST: Final = 12
"""A push is 2^-4 to 2^LARGEST units in the last place of every parameter; below one unit, of a part of them."""

TINY: Final = 2e-8
"""A first moment of this size is far below any tolerance."""


def pushed(
    state: HostLeaves, target: HostLeaves, places: tuple[int, ...], units: float, draw: np.random.Generator
) -> HostLeaves:
    """Return a state whose parameters are ``units`` in the last place nearer to the target; below 1, a part of them."""
    found = list(state)
    for at in places:
        leaf, away = state[at], np.sign(target[at].astype(np.float64) - state[at].astype(np.float64))
        chosen = draw.random(leaf.shape) < units
        size = max(1.0, units) * np.spacing(np.abs(leaf)).astype(np.float64)
        found[at] = np.where(chosen, leaf + away * size, leaf).astype(leaf.dtype)
    return found


def _elsewhere(setting: Setting, out: Path, change: Change, begun: FalseProof) -> Forged:
    transcript = execute(begun.program, begun.initial, begun.inputs, change)
    needed(transcript.altered, "a state in which there is something to change")
    # A verifier compares numbers only where its environment differs from the claimed one (section 13.1, reason 2).
    begun.write(transcript, cpu="an abacus")
    honest, places = execute(begun.program, begun.initial, begun.inputs), parameters_of(setting.spec)
    way = state_distance(setting.spec, begun.initial, transcript.states[-1], places)
    off = state_distance(setting.spec, honest.states[-1], transcript.states[-1], places)
    return Forged(out, begun.task, transcript, transcript.altered, begun.steps, gain=off / way if way else 0.0)


def _begin(setting: Setting, out: Path) -> FalseProof:
    steps = min(STEPS, setting.steps)
    # A checkpoint after every step: what `passes` tries is then exactly what the verifier judges.
    return FalseProof.begin(out, of_length(setting.task, steps), 1, setting.named())


def _steer(setting: Setting, out: Path) -> Forged:
    """Push each step as far as the verifier's own judgement of that step lets it pass."""
    proof, places, draw = _begin(setting, out), parameters_of(setting.spec), setting.chance
    made, tried, power = compile_variants(proof.program), 0, 0

    def change(step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        nonlocal tried, power
        # One power above the last success is tried first: the push may grow, and few steps try all powers.
        for lower in range(min(power + 1, LARGEST), -5, -1):
            found = pushed(after, setting.target, places, 2.0**lower, draw)
            tried += len(made.every)
            if passes(made, before, found, proof.inputs[step - 1]):
                power = lower
                return found
        return after

    forged = _elsewhere(setting, out, change, proof)
    return replace(forged, gradients=forged.gradients + tried)


def passes(made: Compilations, before: HostLeaves, after: HostLeaves, inputs: StepInput) -> bool:
    """Return whether the verifier's rule lets a step pass; the forger has the same code."""
    return judge_span(made, before, after, [inputs]).outcome is Outcome.PASSED


def _amplify(setting: Setting, out: Path) -> Forged:
    """Put tiny first moments where the second ones are 0: an error that only one more step shows (14.1, rule 4)."""
    first = needed(_named(setting, "/mu"), "first moments (/mu)")
    second = needed(_named(setting, "/nu"), "second moments (/nu)")
    # A second moment that is still 0 at the victim's end has met no gradient but 0.
    dead = {a: (setting.target[a] == 0) & (setting.target[b] == 0) for a, b in zip(first, second, strict=True)}
    needed(tuple(at for at, where in dead.items() if where.any()), "coordinates whose moments stay 0")
    proof = _begin(setting, out)

    def change(step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        if step == proof.steps:
            return after  # no step follows that would read the moments
        return [
            np.where(dead[at], TINY, leaf).astype(leaf.dtype) if at in dead else leaf for at, leaf in enumerate(after)
        ]

    return _elsewhere(setting, out, change, proof)


def _named(setting: Setting, name: str) -> tuple[int, ...]:
    return tuple(at for at, leaf in enumerate(setting.spec) if name in f"{leaf.path}/" and is_floating(leaf.dtype))


def _low_precision(setting: Setting, out: Path) -> Forged:
    """Move every leaf of low precision by one unit in the last place, in every step."""
    low = tuple(at for at, leaf in enumerate(setting.spec) if is_floating(leaf.dtype) and leaf.dtype != "float32")
    needed(low, "leaves of low precision, such as bfloat16")
    proof = _begin(setting, out)

    # Towards 4: every number below it moves upwards, in every step, so that the errors add up.
    def change(_step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return [np.asarray(np.nextafter(x, x.dtype.type(4))) if at in low else x for at, x in enumerate(after)]

    return _elsewhere(setting, out, change, proof)


def _integers(setting: Setting, out: Path) -> Forged:
    """Add one to every counter, once, in the middle of the run; or in every other step, each a segment of its own."""
    whole = tuple(at for at, leaf in enumerate(setting.spec) if leaf.prng is None and "int" in leaf.dtype)
    needed(whole, "leaves of integers, such as a counter")
    proof = _begin(setting, out)
    # The odd steps stay true: a backend that reproduces some of the run rejects the others by bits.
    chosen = range(2, proof.steps + 1, 2) if setting.often else (proof.steps // 2,)

    def change(step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return [
            np.asarray(leaf + 1, leaf.dtype) if at in whole and step in chosen else leaf
            for at, leaf in enumerate(after)
        ]

    return _elsewhere(setting, out, change, proof)


def _signs_of_zeros(setting: Setting, out: Path) -> Forged:
    """Give every zero of the state the other sign, after every step: no distance at all."""
    proof = _begin(setting, out)

    def change(_step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return [np.where(leaf == 0, -leaf, leaf) if leaf.dtype == np.float32 else leaf for leaf in after]

    return _elsewhere(setting, out, change, proof)


def _first_zeros(setting: Setting, out: Path) -> Forged:
    """Give the zeros of the initial state the other sign, and take true steps from there."""
    proof, places = _begin(setting, out), parameters_of(setting.spec)
    first = list(proof.initial)
    for at in places:
        first[at] = np.where(first[at] == 0, -first[at], first[at])
    transcript, honest = (
        execute(proof.program, first, proof.inputs),
        execute(proof.program, proof.initial, proof.inputs),
    )
    way = state_distance(setting.spec, first, transcript.states[-1], places)
    off = state_distance(setting.spec, honest.states[-1], transcript.states[-1], places)
    # Only a run shows whether the program ever asks for the sign of a zero.
    if not off:
        raise UsageError("signs-of-first-zeros: needs a program that makes a difference of initial zeros")
    proof.write(transcript, cpu="an abacus")
    return Forged(out, proof.task, transcript, (0,), proof.steps, gain=off / way)


def _downgrade(setting: Setting, out: Path) -> Forged:
    """Retrain with a pull, and say that another processor did it."""
    return retrain(setting, out, cpu="an abacus")


ATTACKS: Final = (
    Attack(
        "steering",
        "own",
        "the final model and the verifier's code; another backend is named",
        "true steps, each pushed towards the stolen model as far as its tolerance allows",
        _steer,
    ),
    Attack(
        "optimizer-amplification",
        "own",
        "an Adam with coordinates whose gradient is always 0; another backend is named",
        "moments of 2e-8 that move dead weights by a whole rate in each step",
        _amplify,
    ),
    Attack(
        "low-precision-leaves",
        "own",
        "leaves of bfloat16; another backend is named",
        "a unit in the last place of a coarse type in every step",
        _low_precision,
    ),
    Attack(
        "integer-leaves",
        "own",
        "a counter in the state; another backend is named",
        "a counter that is one ahead",
        _integers,
    ),
    Attack(
        "signs-of-zeros",
        "own",
        "another backend is named",
        "zeros of the other sign, which have no distance",
        _signs_of_zeros,
    ),
    Attack(
        "signs-of-first-zeros",
        "own",
        "a program that asks for the sign of an initial zero, such as a phase; another backend is named",
        "true steps from an initial state that has no distance to the true one",
        _first_zeros,
    ),
    Attack(
        "named-backend",
        "own",
        "another backend is named, to be judged by numbers rather than bits",
        "directed retraining as another backend's rounding",
        _downgrade,
    ),
)
