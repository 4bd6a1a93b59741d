"""A federation in one process: rounds of workers with records of their own, some of them Byzantine."""

from __future__ import annotations

import resource
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import jax
import numpy as np

from pol_jax import Arrays, Assignment, Task, UpdateResult, Verdict, register
from pol_jax.protocol.trees import PyTree
from untrusted.behaviours import honest
from untrusted.coordinator import Received, challenge
from untrusted.worker import Answer, Behaviour, Programs, Site

if TYPE_CHECKING:  # it needs Flower, and workers and their verification don't
    from untrusted.aggregation import Aggregate


@dataclass(frozen=True)
class Setting:
    """How large a federation is.

    Attributes:
        workers: how many.
        rounds: how many.
        steps: of a worker in a round.
        batch_size: records of a step.
        interval: steps between two checkpoints.
        classes: how many classes of records each worker has.
        share: of a worker's steps that the coordinator replays at most.
    """

    workers: int
    rounds: int
    steps: int
    batch_size: int
    interval: int
    classes: int
    share: float


@dataclass
class Outcome:
    """What a federation came to.

    Attributes:
        accuracy: of the final model, on test records.
        seconds: processor time that aggregation and verification took at the coordinator.
        megabytes: that the coordinator received.
        replayed: share of the workers' steps that was replayed.
        verdicts: of each behaviour, how many updates had which verdict; without proofs all are accepted.
        reasons: of each behaviour that was not accepted, the last reason.
    """

    accuracy: float = 0
    seconds: float = 0
    megabytes: float = 0
    replayed: float = 0
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def count(self, verdict: Verdict, byzantine: bool) -> int:
        """Return how many updates of honest or of Byzantine workers had a verdict."""
        chosen = [counts for name, counts in self.verdicts.items() if byzantine != name.startswith("honest")]
        return sum(counts.get(str(verdict), 0) for counts in chosen)


Cast: TypeAlias = Callable[[int], Sequence[tuple[str, Behaviour]]]
"""Tells how each worker behaves in a round, and what that is called."""


def non_iid(records: Mapping[str, np.ndarray], setting: Setting, seed: int) -> list[dict[str, np.ndarray]]:
    """Return the records of each worker, who has a few classes only; the next one begins three classes further on."""
    labels, draw = records["label"], np.random.default_rng(seed)
    found, kinds = [], int(labels.max()) + 1
    for worker in range(setting.workers):
        own = [(3 * worker + step) % kinds for step in range(setting.classes)]
        places = draw.permutation(np.flatnonzero(np.isin(labels, own)))
        size = len(labels) // setting.workers
        found.append({name: leaf[places[:size]] for name, leaf in records.items()})
    return found


def run(
    task: Task,
    parts: Sequence[Mapping[str, np.ndarray]],
    cast: Cast,
    setting: Setting,
    aggregate: Aggregate | None,
    folder: Path,
    programs: Programs,
) -> Outcome:
    """Run all rounds.

    Args:
        task: with the task's own evaluation.
        parts: the records of each worker.
        cast: how workers behave.
        setting: sizes.
        aggregate: how updates are aggregated without proofs; None to challenge, and to average what is accepted.
        folder: for proofs.
        programs: of all workers.
    """
    state = task.init(jax.random.key(0))
    model: PyTree = {"params": jax.tree.map(np.asarray, params_of(state))}
    earlier = jax.tree.map(lambda leaf: np.asarray(leaf * 0.5, leaf.dtype), model)
    outcome, verdicts, replayed = Outcome(), Counter[tuple[str, str]](), 0
    for number in range(setting.rounds):
        sites = [site_of(task, parts[w], w, number, model, earlier, setting, folder) for w in range(setting.workers)]
        sites = [replace(site, proves=aggregate is None, programs=programs) for site in sites]
        sites = [replace(site, neighbour=_neighbour(sites, at)) for at, site in enumerate(sites)]
        behaviours = cast(number)
        answers = [behave(site) for site, (_, behave) in zip(sites, behaviours, strict=True)]
        begun = _processor_seconds()
        received = [_receive(site, answer, setting, aggregate) for site, answer in zip(sites, answers, strict=True)]
        updates = [answer.update for answer, each in zip(answers, received, strict=True) if each.result]
        earlier, model = model, aggregate(updates, model) if aggregate else average(updates, model)
        outcome.seconds += _processor_seconds() - begun - sum(each.worker_seconds for each in received)
        for (name, _), each in zip(behaviours, received, strict=True):
            verdicts[name, str(each.result.verdict)] += 1
            outcome.megabytes += each.size / 1e6
            replayed += each.result.replayed
            if not each.result:
                outcome.reasons[name] = each.result.reason
        shutil.rmtree(folder, ignore_errors=True)
    assert task.evaluate is not None  # noqa: S101  # those that are compared here have one
    outcome.accuracy = task.evaluate(with_params(state, model["params"]))["test accuracy"]
    outcome.replayed = replayed / (setting.workers * setting.rounds * setting.steps)
    for (name, verdict), count in sorted(verdicts.items()):
        outcome.verdicts.setdefault(name, {})[verdict] = count
    return outcome


def params_of(state: PyTree) -> PyTree:
    """Return the parameters in a state."""
    return state["params"] if isinstance(state, dict) else state.params


def with_params(state: PyTree, params: PyTree) -> PyTree:
    """Return a state with other parameters."""
    return state | {"params": params} if isinstance(state, dict) else state._replace(params=params)


def average(updates: Sequence[PyTree], model: PyTree) -> PyTree:
    """Return the mean of updates; without any, the model as it was."""
    if not updates:
        return model
    return jax.tree.map(lambda *leaves: np.mean(leaves, 0, np.float64).astype(leaves[0].dtype), *updates)


def site_of(
    task: Task,
    records: Mapping[str, np.ndarray],
    worker: int,
    number: int,
    model: PyTree,
    earlier: PyTree,
    setting: Setting,
    folder: Path,
) -> Site:
    """Return a worker in a round: what it has, and what it is asked for."""
    source = Arrays(dict(records))
    assignment = Assignment(
        seed=f"round {number} worker {worker}",
        steps=setting.steps,
        batch_size=setting.batch_size,
        interval=setting.interval,
        data=register(source),
    )
    return Site(
        task=replace(task, source=source),
        records=records,
        previous=model,
        assignment=assignment,
        folder=folder / str(worker),
        earlier=earlier,
        neighbour=lambda: Answer({}, folder),
        random=np.random.default_rng((number, worker)),
    )


def _neighbour(sites: Sequence[Site], at: int) -> Callable[[], Answer]:
    return lambda: honest(replace(sites[0], folder=sites[at].folder))


def _receive(site: Site, answer: Answer, setting: Setting, aggregate: Aggregate | None) -> Received:
    """Return what a coordinator makes of an answer; without proofs it takes any."""
    if aggregate is None:
        return challenge(site, answer, setting.share)
    size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(answer.update))
    return Received(UpdateResult(Verdict.ACCEPTED, "no proof was asked for", setting.steps), size)


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
