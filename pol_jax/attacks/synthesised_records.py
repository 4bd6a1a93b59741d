"""These attacks make records that teach nothing, so that a straight line passes for training.

R. Zhang et al., "'Adversarial Examples' for Proof-of-Learning", IEEE S&P 2022 (arXiv:2108.09454), attacks II and III.
The states lie on a line from a first state to the stolen model, in pieces shorter than the slack. True records are
changed a little, by L-BFGS, until the gradient of their batch at a state of the line all but vanishes, so that a replay
stays where it begins. Attack II makes a batch for every step; attack III one for a whole segment, which each of its
steps uses again, from a first state that lies near to the target and passes a test of its distribution (here a
rank-matched one), and so costs far less than training.

The forger needs records of floating-point numbers, and chooses which records a step receives.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.interpolation import rank_matched
from pol_jax.attacks.transcript import invented, line, parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.export import structure_of
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import Arrays, take
from pol_jax.training.task import PyTree

ITERATIONS: Final = 10
"""L-BFGS has this many iterations for each batch, as in the authors' implementation."""

PENALTY: Final = 1e-4
"""The squared change of the records counts by this factor, beside the length of the update that they cause."""


class Synthesis:
    """A synthesis makes records near to true ones, by which a step hardly moves a state; it is compiled once."""

    def __init__(self, setting: Setting) -> None:
        """Prepare to make records of the task's kind.

        Raises:
            UsageError: a record has no floating-point numbers.
        """
        self._prng = setting.victim.commitment.schedule.prng
        self._structure, self._places = structure_of(setting.task, self._prng), parameters_of(setting.spec)
        # The task's own function: the exported step was serialized without a derivative.
        self._step, self._slope = setting.task.step, jax.jit(jax.value_and_grad(self._cost))
        if not any(_is_wide(leaf) for leaf in jax.tree.leaves(setting.task.source[0])):
            raise UsageError("synthesised records: need records of floating-point numbers")

    def make(self, state: HostLeaves, batch: PyTree, key: np.ndarray) -> tuple[PyTree, int]:
        """Return records near to those of ``batch``, and what they cost.

        The cost is in gradients of a batch; one of the length of an update counts as two, for it goes through a step.
        """
        from scipy.optimize import minimize  # takes long to import

        leaves = tuple(jnp.asarray(leaf) for leaf in state)

        def evaluate(change: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = self._slope(jnp.asarray(change, jnp.float32), leaves, batch, key)
            return float(value), np.asarray(slope, np.float64)

        size = sum(leaf.size for leaf in jax.tree.leaves(batch) if _is_wide(leaf))
        found = minimize(evaluate, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        made = jax.tree.map(np.asarray, _changed(batch, jnp.asarray(found.x, jnp.float32)))
        return made, 2 * int(found.nfev)

    def _cost(self, change: jax.Array, leaves: tuple[jax.Array, ...], batch: PyTree, key: jax.Array) -> jax.Array:
        typed = jax.random.wrap_key_data(key, impl=self._prng)
        new, _ = self._step(self._structure.state(leaves), _changed(batch, change), typed)
        after = self._structure.leaves(new)
        update = sum(jnp.sum(jnp.square(after[at] - leaves[at])) for at in self._places)
        # The derivative of a root is infinite at 0, where the search is to end.
        return jnp.sqrt(update + 1e-12) + PENALTY * jnp.sum(jnp.square(change))


def _changed(batch: PyTree, change: jax.Array) -> PyTree:
    """Return a batch to whose floating-point numbers a vector is added."""
    leaves, tree = jax.tree.flatten(batch)
    at, found = 0, list[Any]()
    for leaf in leaves:
        if _is_wide(leaf):
            found.append((leaf + change[at : at + leaf.size].reshape(leaf.shape)).astype(leaf.dtype))
            at += leaf.size
        else:
            found.append(leaf)
    return jax.tree.unflatten(tree, found)


def _is_wide(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _attack(setting: Setting, out: Path, first: HostLeaves, per_segment: int) -> Forged:
    """Write a line from ``first`` with synthesised records, of which each segment has ``per_segment`` batches."""
    task, interval, spec = setting.task, setting.interval, setting.spec
    length = state_distance(spec, first, setting.target, parameters_of(spec))
    # Pieces of half the slack leave room for what a replay of the made records moves all the same.
    segments = max(2, int(np.ceil(2 * length / setting.slack)))
    steps = segments * interval
    states = line(spec, first, setting.target, steps)
    synthesis, draw, cost, made = Synthesis(setting), setting.chance, 0, []
    # The records decide the root, the commitment and so the keys (section 2.1): no key is known while they are made.
    key = np.zeros(setting.victim.program().signature.key().shape, np.uint32)
    for segment in range(segments):
        for _ in range(per_segment):
            indices = draw.integers(0, len(task.source), task.batch_size)
            batch = _stacked([task.source[int(index)] for index in indices])
            records, gradients = synthesis.make(states[segment * interval], batch, key)
            made.append(records)
            cost += gradients
    source = Arrays(jax.tree.map(lambda *leaves: np.concatenate(leaves), *made))
    forged = replace(of_length(task, steps), source=source)
    proof = FalseProof.begin(out, forged, interval, setting.named())
    inputs = [_given(proof, each, interval, per_segment) for each in proof.inputs]
    transcript = invented(states, inputs, len(proof.program.signature.metrics))
    proof.write(transcript)
    return Forged(out, forged, transcript, tuple(range(1, steps + 1)), cost)


def _given(proof: FalseProof, inputs: StepInput, interval: int, per_segment: int) -> StepInput:
    """Return the inputs of a step with the batch that was made for it."""
    size, (segment, place) = proof.task.batch_size, divmod(inputs.step - 1, interval)
    number = segment * per_segment + place % per_segment
    # These are not the places that section 8 gives, and stage 5 refuses them; the paper's rule knows no order.
    indices = np.arange(number * size, (number + 1) * size)
    batch = take(proof.task.source, proof.commitment.data.record, indices)
    return replace(inputs, indices=indices.astype(np.uint64), batch=batch)


def _stacked(records: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *records)


def _attack_2(setting: Setting, out: Path) -> Forged:
    return _attack(setting, out, setting.beginning, setting.interval)


def _attack_3(setting: Setting, out: Path) -> Forged:
    places = parameters_of(setting.spec)
    return _attack(setting, out, rank_matched(setting.beginning, setting.target, places), 1)


ATTACKS: Final = (
    Attack(
        "synthesised-records-2",
        "Zhang et al., S&P 2022, attack II",
        "the final model; records are the forger's to make and to choose",
        "a line to the stolen model, with a batch for every step that moves nothing",
        _attack_2,
    ),
    Attack(
        "synthesised-records-3",
        "Zhang et al., S&P 2022, attack III",
        "the final model; records are the forger's to make and to choose",
        "the same from a rank-matched start, with one batch a segment",
        _attack_3,
    ),
)
