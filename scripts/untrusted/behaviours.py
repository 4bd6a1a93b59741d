"""What workers do: one that is honest, and those that Byzantine workers are known for, each with a proof as it has it.

Whoever forges here knows the protocol and this code, and has everything but the coordinator's nonce.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

import jax
import msgspec
import numpy as np

from pol_jax import Arrays, Recording, open_proof, register
from pol_jax.program.machine import current_environment
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.initial import taken
from pol_jax.protocol.trees import HostLeaves, PyTree
from pol_jax.training.inputs import StepInput
from pol_jax.training.states import Layout
from pol_jax.workers.training import final_update
from untrusted.forging import Change, ChangeBatch, as_assigned, forge, no_change, rewrite, trajectory
from untrusted.worker import Answer, Behaviour, Site

LABEL: Final = "label"
"""The name of the leaf that label flipping flips, in every record here."""


def honest(site: Site) -> Answer:
    """Train as assigned."""
    return site.train()


def random_weights(site: Site) -> Answer:
    """Return noise of the size of the model, and the proof of an honest training."""
    answer = honest(site)
    noise = jax.tree.map(lambda w: site.random.normal(0, w.std() + 0.1, w.shape).astype(w.dtype), answer.update)
    return replace(answer, update=noise)


def sign_flip(site: Site) -> Answer:
    """Return the update backwards, and the proof of an honest training."""
    return _moved(site, -1.0)


def scaled(site: Site) -> Answer:
    """Return ten times the update, and the proof of an honest training."""
    return _moved(site, 10.0)


def stale(site: Site) -> Answer:
    """Train from the global model of the round before."""
    return honest(replace(site, previous=site.earlier))


def copied(site: Site) -> Answer:
    """Return the update and the proof of another worker."""
    return site.neighbour()


def lazy(site: Site) -> Answer:
    """Train a third of the steps."""
    return honest(replace(site, assignment=replace(site.assignment, steps=max(1, site.assignment.steps // 3))))


def flipped_labels(site: Site) -> Answer:
    """Train on records whose labels are flipped, and prove that."""
    records = dict(site.records)
    source = Arrays(records | {LABEL: _flip(records[LABEL], records[LABEL].max())})
    assignment = replace(site.assignment, data=register(source))
    return honest(replace(site, task=replace(site.task, source=source), assignment=assignment))


def hidden_flipped_labels(site: Site) -> Answer:
    """Commit to the registered records, train on flipped labels, and keep the ledger's digests of the true ones."""
    label = [leaf.path for leaf in site.expected.commitment.data.record].index(f"/{LABEL}")
    highest = site.records[LABEL].max()

    def flip(inputs: StepInput) -> StepInput:
        batch = list(inputs.batch)
        batch[label] = _flip(batch[label], highest)
        return replace(inputs, batch=tuple(batch))

    return _forged(site, change_batch=flip)


def forged_ledger(site: Site) -> Answer:
    """Return a model of the worker's own, and a ledger of made-up states that leads to it."""
    steps, target = site.assignment.steps, _target(site)

    def interpolate(step: int, at: int, before: np.ndarray, _after: np.ndarray) -> np.ndarray:
        return np.asarray(before + (target[at] - before) / (steps - step + 1))

    return _forged(site, _of_taken(site, interpolate))


def false_states_between(site: Site) -> Answer:
    """Train as assigned, and put states into the ledger that never were, between checkpoints after the first ones."""
    answer, asked = honest(site), site.assignment
    if not site.proves:
        return answer
    kept = {*range(asked.interval), *range(0, asked.steps, asked.interval), asked.steps}
    proof, layout = open_proof(answer.proof), Layout(site.expected.commitment.state)
    program, start = proof.program(), proof.host_leaves(0)
    states, rows = {0: layout.gather(start)}, list(proof.rows())
    for step, state, _ in trajectory(proof.commitment, program, site.task.source, asked.steps, start):
        moved = [leaf if step in kept else np.negative(leaf) if leaf.dtype.kind == "f" else leaf for leaf in state]
        states[step] = layout.gather(moved)
        rows[step] = replace(rows[step], state=states[step].digest())
    rewrite(proof, rows)
    return replace(answer, states=states)


@cache
def _halved(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that moves half as far."""

    def half_way(old: jax.Array, new: jax.Array) -> jax.Array:
        return (old + new) / 2 if jax.numpy.issubdtype(new.dtype, jax.numpy.floating) else new

    def slower(state: PyTree, batch: PyTree, key: jax.Array) -> tuple[PyTree, Mapping[str, jax.Array]]:
        new, metrics = step(state, batch, key)
        return jax.tree.map(half_way, state, new), metrics

    return slower


def another_program(site: Site) -> Answer:
    """Train with half the learning rate."""
    return honest(replace(site, task=replace(site.task, step=_halved(site.task.step))))


def hidden_program(site: Site) -> Answer:
    """Commit to the assigned program, and move twice as far in each step."""
    return _forged(site, _of_taken(site, lambda _step, _at, before, after: after + (after - before)))


def intervening(site: Site) -> Answer:
    """Replace the weights before the last step, and say so: an intervention, which a claim may name."""
    last, noise = site.assignment.steps, _target(site)
    if not site.proves:
        return _forged(site, _of_taken(site, lambda step, at, _before, after: noise[at] if step == last - 1 else after))
    task, choices = replace(site.task, batch_size=site.assignment.batch_size), site.assignment.choices(site.previous)
    paths = site.expected.commitment.initial.leaves
    with Recording(task, site.folder, steps=last, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == last:
                new = {path: leaf.astype(np.float32) for path, leaf in zip(paths, noise, strict=True)}
                state = recording.intervene(state, new, "better weights")
            state, _ = recording.step(state, inputs)
    return Answer(final_update(open_proof(site.folder)), site.folder)


def steering(site: Site, share: float = 1e-4) -> Answer:
    """Name another backend, and move every step a little towards a target: by ``share`` of the step's own length."""
    target, environment = _target(site), current_environment()

    def steer(_step: int, at: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        way = target[at] - after
        return np.asarray(after + share * np.linalg.norm(after - before) * way / max(float(np.linalg.norm(way)), 1e-30))

    elsewhere = msgspec.structs.replace(environment, cpu=f"{environment.cpu} II")
    return _forged(site, _of_taken(site, steer), environment=elsewhere)


BYZANTINE: Final[Mapping[str, Behaviour]] = {
    "random weights": random_weights,
    "sign flip": sign_flip,
    "scaled": scaled,
    "stale": stale,
    "copied": copied,
    "lazy": lazy,
    "flipped labels": flipped_labels,
    "hidden flipped labels": hidden_flipped_labels,
    "forged ledger": forged_ledger,
    "false states between": false_states_between,
    "another program": another_program,
    "hidden program": hidden_program,
    "intervening": intervening,
    "steering": steering,
}
"""All behaviours but the honest one, by their names in tables."""


def _moved(site: Site, factor: float) -> Answer:
    """Return the proof of an honest training, and its update times a factor."""
    answer = honest(site)

    def move(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.asarray(old + factor * (new - old), new.dtype)

    return replace(answer, update=jax.tree.map(move, site.previous, answer.update))


def _forged(
    site: Site,
    change: Change = no_change,
    change_batch: ChangeBatch = as_assigned,
    environment: Environment | None = None,
) -> Answer:
    """Return the answer of a worker who trains, changes what it likes, and forges a proof of it."""
    if not site.proves:
        return site.trained(change, change_batch)
    root = honest(site).proof
    states = forge(root, site.task.source, change, change_batch=change_batch, environment=environment)
    return Answer(final_update(open_proof(root)), root, states)


def _target(site: Site) -> list[np.ndarray]:
    """Return a model that the worker would like, leaf by leaf."""
    return [site.random.normal(0, 1, leaf.shape) for leaf in jax.tree.leaves(site.previous)]


def _of_taken(site: Site, change: Callable[[int, int, np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """Return what forges the leaves of a state that are taken over, and leaves the others as they are.

    Args:
        site: of the worker.
        change: gets the step, the leaf's number among those, and the leaf before and after the step, as doubles.
    """
    commitment = site.expected.commitment
    places = list(taken(commitment.initial, commitment.state))

    def forged(step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        new = list(after)
        for at, place in enumerate(places):
            pair = before[place].astype(np.float64), after[place].astype(np.float64)
            new[place] = np.asarray(change(step, at, *pair), after[place].dtype)
        return new

    return forged


def _flip(labels: np.ndarray, highest: int) -> np.ndarray:
    return np.asarray(highest - labels, labels.dtype)
