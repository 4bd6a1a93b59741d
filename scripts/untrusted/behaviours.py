"""What workers do: one that is honest, and those that Byzantine workers are known for, each with a proof as it has it.

Whoever forges here knows the protocol and this code, and has everything but the coordinator's nonce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import jax
import msgspec
import numpy as np

from pol_jax import Arrays, Assignment, Recording, Source, Task, open_proof, open_steps, register, train_update
from pol_jax.protocol.initial import taken
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.trees import PyTree
from pol_jax.training.inputs import StepInput
from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.states import HostState
from pol_jax.workers.training import final_update
from untrusted.forging import Change, HostLeaves, forge, open_forged, rewrite

LABEL: Final = "label"
"""The name of the leaf that label flipping flips, in every record here."""


@dataclass(frozen=True)
class Answer:
    """What a worker returns.

    Attributes:
        update: leaves of its final state, as it says.
        proof: the directory of its proof.
        states: those that a forger has put into the proof, by their steps; None if it is not forged.
    """

    update: PyTree
    proof: Path
    states: Mapping[int, HostState] | None = None

    def open(self, source: Source, steps: Iterable[int]) -> Opening:
        """Answer a challenge."""
        if self.states is None:
            return open_steps(open_proof(self.proof), source, steps)
        return open_forged(self.proof, source, steps, self.states)


@dataclass(frozen=True)
class Site:
    """A worker with its records, in one round.

    Attributes:
        task: with the worker's records as its source.
        records: the same records, as arrays by name.
        previous: the global model that it was sent.
        assignment: what it was asked for.
        folder: to work in.
        earlier: the global model of the round before.
        neighbour: what another worker trained in this round.
        random: chance.
    """

    task: Task
    records: Mapping[str, np.ndarray]
    previous: PyTree
    assignment: Assignment
    folder: Path
    earlier: PyTree
    neighbour: Callable[[], Answer]
    random: np.random.Generator


Behaviour: TypeAlias = Callable[[Site], Answer]


def honest(site: Site) -> Answer:
    """Train as assigned."""
    proof, update = train_update(site.task, site.previous, site.assignment, site.folder)
    return Answer(update, proof.root)


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
    proof = open_proof(honest(site).proof)
    label = [leaf.path for leaf in proof.commitment.data.record].index(f"/{LABEL}")
    highest = site.records[LABEL].max()

    def flip(inputs: StepInput) -> StepInput:
        batch = list(inputs.batch)
        batch[label] = _flip(batch[label], highest)
        return replace(inputs, batch=tuple(batch))

    return _answer(proof.root, forge(proof.root, site.task.source, change_batch=flip))


def forged_ledger(site: Site) -> Answer:
    """Return a model of the worker's own, and a ledger of made-up states that leads to it."""
    answer, steps, target = honest(site), site.assignment.steps, _target(site)

    def interpolate(step: int, at: int, before: np.ndarray, _after: np.ndarray) -> np.ndarray:
        return np.asarray(before + (target[at] - before) / (steps - step + 1))

    return _answer(answer.proof, forge(answer.proof, site.task.source, _of_taken(answer, interpolate)))


def false_states_between(site: Site) -> Answer:
    """Train as assigned, and put states into the ledger that never were, between checkpoints after the first ones."""
    answer = honest(site)
    proof, schedule = open_proof(answer.proof), site.assignment
    kept = {*range(schedule.interval), *range(0, schedule.steps, schedule.interval), schedule.steps}
    rewrite(proof, [row if row.step in kept else replace(row, state=bytes(32)) for row in proof.rows()])
    return answer


def another_program(site: Site) -> Answer:
    """Train with half the learning rate."""

    def step(state: PyTree, batch: PyTree, key: jax.Array) -> tuple[PyTree, Mapping[str, jax.Array]]:
        new, metrics = site.task.step(state, batch, key)
        return new | {"params": jax.tree.map(lambda a, b: (a + b) / 2, state["params"], new["params"])}, metrics

    return honest(replace(site, task=replace(site.task, step=step)))


def hidden_program(site: Site) -> Answer:
    """Commit to the assigned program, and move twice as far in each step."""
    answer = honest(site)
    double = _of_taken(answer, lambda _step, _at, before, after: after + (after - before))
    return _answer(answer.proof, forge(answer.proof, site.task.source, double))


def intervening(site: Site) -> Answer:
    """Replace the weights before the last step, and say so: an intervention, which a claim may name."""
    task = replace(site.task, batch_size=site.assignment.batch_size)
    choices = site.assignment.choices(site.previous)
    weights = dict(flatten_with_paths(site.previous))
    with Recording(task, site.folder, steps=site.assignment.steps, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == site.assignment.steps:
                new = {path: site.random.normal(0, 1, leaf.shape).astype(leaf.dtype) for path, leaf in weights.items()}
                state = recording.intervene(state, new, "better weights")
            state, _ = recording.step(state, inputs)
    return Answer(final_update(open_proof(site.folder)), site.folder)


def steering(site: Site, share: float = 1e-4) -> Answer:
    """Name another backend, and move every step a little towards a target: by ``share`` of the step's own length."""
    answer, target = honest(site), _target(site)
    claim = open_proof(answer.proof).claim
    assert claim is not None  # noqa: S101  # it is finished
    elsewhere = msgspec.structs.replace(claim.environment, cpu=f"{claim.environment.cpu} II")

    def steer(_step: int, at: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        way = target[at] - after
        return np.asarray(after + share * np.linalg.norm(after - before) * way / max(float(np.linalg.norm(way)), 1e-30))

    return _answer(answer.proof, forge(answer.proof, site.task.source, _of_taken(answer, steer), environment=elsewhere))


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


def _answer(root: Path, states: Mapping[int, HostState]) -> Answer:
    """Return the answer of a worker whose forged proof this is."""
    return Answer(final_update(open_proof(root)), root, states)


def _target(site: Site) -> list[np.ndarray]:
    """Return a model that the worker would like, leaf by leaf."""
    return [site.random.normal(0, 1, leaf.shape) for leaf in jax.tree.leaves(site.previous)]


def _of_taken(answer: Answer, change: Callable[[int, int, np.ndarray, np.ndarray], np.ndarray]) -> Change:
    """Return what forges the leaves of a state that are taken over, and leaves the others as they are.

    Args:
        answer: of the worker, as long as it is honest.
        change: gets the step, the leaf's number among those, and the leaf before and after the step, as doubles.
    """
    commitment = open_proof(answer.proof).commitment
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
