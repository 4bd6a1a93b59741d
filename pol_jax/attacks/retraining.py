"""These attacks pull a training to the stolen model, or take gradient steps backwards from it.

Both are in Jia et al. (IEEE S&P 2021, section VI), who argue that they cost as much as training, and fail. Directed
retraining executes true steps and adds to each a pull towards the stolen weights; where the pull of a segment is below
the slack, the paper's rule can't see it. The inverse gradient finds, for each step back from the stolen model, a state
from which a true step leads to the one after it, by a fixed-point iteration; the states are then true training from a
first state that nobody drew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import execute, invented, moved, parameters_of
from pol_jax.errors import UsageError
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.inputs import StepInput

ITERATIONS: Final = 6
"""Each step back takes this many rounds of the fixed-point iteration, of one gradient each."""


def retrain(setting: Setting, out: Path, **environment: str) -> Forged:
    """Write true steps with a pull towards the target; ``environment`` changes fields of the claimed one."""
    places = parameters_of(setting.spec)
    steps = setting.steps_of_line(setting.beginning)
    proof = FalseProof.begin(out, of_length(setting.task, steps), setting.interval, setting.named())
    pull = setting.slack / (2 * setting.interval)  # of a step; that of a segment is half of the slack

    def pulled(step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return after if step <= setting.true_steps else moved(after, setting.target, places, pull)

    transcript = execute(proof.program, proof.initial, proof.inputs, pulled)
    proof.write(transcript, **environment)
    return Forged(out, proof.task, transcript, transcript.altered, steps)


def step_before(program: Program, after: HostLeaves, inputs: StepInput, iterations: int = ITERATIONS) -> HostLeaves:
    """Return a state from which a true step leads about to ``after``: the fixed point of x = after - (step(x) - x).

    Nothing checks that the iteration converges. Over many steps back it need not (the paper says so too, section VI),
    and the first state is then far from any draw.
    """
    found = list(after)
    with executing(program.signature):
        for _ in range(iterations):
            leaves = tuple(jnp.array(leaf) for leaf in found)
            new, _ = program.step(leaves, inputs.batch, inputs.key)
            found = [a - (np.asarray(b) - x) for a, b, x in zip(after, new, found, strict=True)]
    return found


def _invert(setting: Setting, out: Path) -> Forged:
    if len(parameters_of(setting.spec)) != len(setting.spec):
        raise UsageError("inverse-gradient: needs a task whose whole state is parameters, trained by plain SGD")
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps), setting.interval, setting.named())
    states: list[HostLeaves] = [setting.target]
    for inputs in reversed(proof.inputs):
        # The inputs are those of the forger's own commitment: stage 5 finds nothing, stage 7 refuses the first state.
        states.insert(0, step_before(proof.program, states[0], inputs))
    transcript = invented(states, proof.inputs, len(proof.program.signature.metrics))
    proof.write(transcript)
    gradients = ITERATIONS * proof.steps
    return Forged(out, proof.task, transcript, transcript.altered, gradients)


ATTACKS: Final = (
    Attack(
        "directed-retraining",
        "Jia et al., S&P 2021",
        "the final model and the records",
        "true steps with a pull to the stolen model, below the slack",
        retrain,
    ),
    Attack(
        "inverse-gradient",
        "Jia et al., S&P 2021",
        "the final model and the records; plain SGD",
        "steps backwards from the stolen model to a first state that nobody drew",
        _invert,
    ),
)
