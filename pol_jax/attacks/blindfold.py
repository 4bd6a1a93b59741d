"""These attacks hide false updates from the top-Q rule (section 12.2), which looks at the largest updates only.

C. Fang et al. (EuroS&P 2023) call it a blindfold: the forger trains truly for Q segments of every epoch, with updates
that rank first, and moves to the stolen model in the others. `poisoned-step` does the least of it: one step of a long
and otherwise true run is false, such as one that puts a back door in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.interpolation import with_scaled_updates
from pol_jax.attacks.transcript import Transcript, execute, invented, line, moved, parameters_of, state_distance
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.spans import Segments
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.inputs import StepInput

Q: Final = 2
"""An epoch has this many true segments: as many as a verifier replays by the rule of the paper."""

EPOCHS: Final = 4
"""The run has at least this many epochs, so that the smaller false updates lead far enough."""

RATE: Final = 4.0
"""The forger's program has this many times the victim's rate: its true updates rank first."""


def _blindfold(setting: Setting, out: Path) -> Forged:
    """Train for the first Q segments of every epoch; move to the target in all others, less than those did."""
    epoch = len(setting.task.source) / setting.task.batch_size
    steps = max(setting.steps, int(np.ceil(EPOCHS * epoch / setting.interval)) * setting.interval)
    task = with_scaled_updates(of_length(setting.task, steps), RATE)
    proof = FalseProof.begin(out, task, setting.interval, setting.named())
    segments, places = Segments(steps, setting.interval), parameters_of(setting.spec)
    transcript, gradients = Transcript((), (proof.initial,), ()), 0
    seen: dict[int, list[float]] = {}
    for number in range(len(segments)):
        span = segments.span(number)
        inputs = proof.inputs[span.start : span.stop]
        # The epoch of a segment is the one in which its first record lies (section 12.2).
        before, own = transcript.states[-1], seen.setdefault(int(span.start // epoch), [])
        if len(own) < Q:
            part = execute(proof.program, before, inputs)
            gradients += len(inputs)
            own.append(state_distance(setting.spec, before, part.states[-1], places))
        else:
            # A tenth below the smallest true update of the epoch, so that no false one is among the Q largest.
            goal = moved(before, setting.target, places, 0.9 * min(own))
            states = line(setting.spec, before, goal, len(inputs))
            part = invented(states, inputs, len(proof.program.signature.metrics))
        transcript = transcript.then(part)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, transcript.altered, gradients)


def poison(
    program: Program, before: HostLeaves, inputs: StepInput, places: tuple[int, ...], strength: float
) -> HostLeaves:
    """Return the state after a step that climbs the loss instead: it goes ``strength`` times the update backwards."""
    with executing(program.signature):
        new, _ = program.step(tuple(jnp.array(leaf) for leaf in before), inputs.batch, inputs.key)
        found = [np.array(leaf) for leaf in new]
    for at in places:
        found[at] = (before[at] - strength * (found[at] - before[at])).astype(before[at].dtype)
    return found


def poisoned(setting: Setting, out: Path, at: Sequence[int], strength: float = 1.0) -> Forged:
    """Write a true run in which the steps ``at`` alone are false."""
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps), setting.interval, setting.named())
    places = parameters_of(setting.spec)

    def change(step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return poison(proof.program, before, proof.inputs[step - 1], places, strength) if step in at else after

    transcript = execute(proof.program, proof.initial, proof.inputs, change)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, tuple(at), setting.steps + len(at))


def poison_one(setting: Setting, out: Path) -> Forged:
    """Poison one step by chance, in the second half, where updates are small."""
    at = int(setting.chance.integers(setting.steps // 2, setting.steps)) + 1
    return poisoned(setting, out, setting.places_for_one(at))


ATTACKS: Final = (
    Attack(
        "blindfold-top-q",
        "Fang et al., EuroS&P 2023",
        "the final model, the verifier's Q; the rate is the forger's to name",
        "Q true segments an epoch with large updates, and smaller false ones towards the stolen model",
        _blindfold,
    ),
    Attack(
        "poisoned-step",
        "own",
        "the forger trains, and replaces one step",
        "a true run with one step that climbs the loss",
        poison_one,
    ),
)
