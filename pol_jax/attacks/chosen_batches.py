"""These attacks give the steps true records, but in batches of the forger's choice.

Forging: A. Thudi et al., "On the Necessity of Auditable Algorithmic Definitions for Machine Unlearning", USENIX
Security 2022. Stolen states are said to come from other batches, which were found by trying: those whose updates come
nearest to what the states did, without a record that is said to have been left out. Chosen order: I. Shumailov et al.,
"Manipulating SGD with Data Ordering Attacks", NeurIPS 2021. Every step is a true one; which records it receives serves
the forger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import Transcript, execute, parameters_of, state_distance
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import take

TRIED: Final = 4
"""The forger tries this many batches for each step."""


def nearest(
    program: Program, before: HostLeaves, goal: HostLeaves, tried: Sequence[StepInput], places: Sequence[int]
) -> tuple[HostLeaves, tuple[np.ndarray, ...], StepInput]:
    """Return state, metrics and inputs of the step that comes nearest to a goal, of several batches that are tried."""
    spec = program.signature.state
    found = []
    with executing(program.signature):
        for each in tried:
            new, metrics = program.step(tuple(jnp.array(leaf) for leaf in before), each.batch, each.key)
            after = [np.array(leaf) for leaf in new]
            measured = tuple(np.asarray(value, np.float32) for value in metrics)
            found.append((state_distance(spec, after, goal, places), after, measured, each))
    _, state, measured, inputs = min(found, key=lambda one: one[0])
    return state, measured, inputs


def _candidates(proof: FalseProof, inputs: StepInput, draw: np.random.Generator) -> list[StepInput]:
    """Return the inputs of a step with `TRIED` batches by chance, none of which has the first record."""
    # Record 0 is the one that is said never to have been used.
    drawn = [draw.choice(np.arange(1, len(proof.task.source)), proof.task.batch_size, False) for _ in range(TRIED)]
    spec = proof.commitment.data.record
    return [
        replace(inputs, indices=indices.astype(np.uint64), batch=take(proof.task.source, spec, indices))
        for indices in drawn
    ]


def _forge_batches(setting: Setting, out: Path) -> Forged:
    """Say that the victim's states come from batches without one record."""
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps), setting.interval, setting.named())
    places, draw = parameters_of(setting.spec), setting.chance
    chosen, metrics = list[StepInput](), list[tuple[np.ndarray, ...]]()
    states: list[HostLeaves] = [setting.beginning]
    for each in proof.inputs:
        end = -(-each.step // setting.interval) * setting.interval
        goal = setting.victim.host_leaves(min(end, setting.steps))
        tried = _candidates(proof, each, draw)
        state, measured, inputs = nearest(proof.program, states[-1], goal, tried, places)
        # Only checkpoints need to be the victim's: between them, no verifier sees a state, only digests.
        states.append(goal if each.step in (end, setting.steps) else state)
        chosen.append(inputs)
        metrics.append(measured)
    transcript = Transcript(tuple(chosen), tuple(states), tuple(metrics))
    proof.write(transcript)
    # The step after a checkpoint is true: it leads from the victim's state to what its batch gives.
    false_steps = tuple(
        step for step in range(1, setting.steps + 1) if step % setting.interval == 0 or step == setting.steps
    )
    return Forged(out, proof.task, transcript, false_steps, TRIED * setting.steps)


def _choose_order(setting: Setting, out: Path) -> Forged:
    """Take true steps with those batches that lead nearest to the stolen model."""
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps), setting.interval, setting.named())
    places, draw = parameters_of(setting.spec), setting.chance
    transcript = Transcript((), (proof.initial,), ())
    for each in proof.inputs:
        tried = _candidates(proof, each, draw)
        *_, inputs = nearest(proof.program, transcript.states[-1], setting.target, tried, places)
        transcript = transcript.then(execute(proof.program, transcript.states[-1], [inputs]))
    proof.write(transcript)
    return Forged(out, proof.task, transcript, tuple(range(1, setting.steps + 1)), (TRIED + 1) * setting.steps)


ATTACKS: Final = (
    Attack(
        "forged-batches",
        "Thudi et al., USENIX Security 2022",
        "all logged states of the victim; batches are the forger's to choose",
        "the victim's states, said to come from batches that never had one of the records",
        _forge_batches,
    ),
    Attack(
        "chosen-order",
        "Shumailov et al., NeurIPS 2021",
        "the forger trains; batches are theirs to choose",
        "true steps with batches that lead to a model of the forger's choice",
        _choose_order,
    ),
)
