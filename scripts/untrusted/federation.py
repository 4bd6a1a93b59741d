"""A federation in one process: rounds of workers with records of their own, some of them Byzantine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from pol_jax import AllSegments, Arrays, Assignment, Task, TrustedTask, Verdict, register, verify_update
from pol_jax.protocol.trees import PyTree
from untrusted.aggregation import Aggregate
from untrusted.behaviours import Answer, Behaviour, Site, honest


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
    """

    workers: int
    rounds: int
    steps: int
    batch_size: int
    interval: int
    classes: int


@dataclass(frozen=True)
class Outcome:
    """What a federation came to.

    Attributes:
        accuracy: of the final model, on test records.
        accepted: how many updates were aggregated.
        false_accepted: how many of them were of Byzantine workers.
        false_rejected: how many updates of honest workers were left out.
        seconds: that aggregation and verification took.
        replayed: share of the workers' steps that was replayed.
    """

    accuracy: float
    accepted: int
    false_accepted: int
    false_rejected: int
    seconds: float
    replayed: float


def non_iid(records: Mapping[str, np.ndarray], setting: Setting, seed: int) -> list[dict[str, np.ndarray]]:
    """Return the records of each worker, who has a few classes only: two workers rarely have the same ones."""
    labels, draw = records["label"], np.random.default_rng(seed)
    found, kinds = [], int(labels.max()) + 1
    for worker in range(setting.workers):
        own = [(worker + step) % kinds for step in range(setting.classes)]
        places = draw.permutation(np.flatnonzero(np.isin(labels, own)))
        size = len(labels) // setting.workers
        found.append({name: leaf[places[:size]] for name, leaf in records.items()})
    return found


def run(
    task: Task,
    parts: Sequence[Mapping[str, np.ndarray]],
    behaviours: Sequence[Behaviour],
    setting: Setting,
    aggregate: Aggregate | None,
    folder: Path,
) -> Outcome:
    """Run all rounds.

    Args:
        task: with the task's own evaluation.
        parts: the records of each worker.
        behaviours: of each worker.
        setting: sizes.
        aggregate: how updates are aggregated without proofs; None to verify proofs, and to average what is accepted.
        folder: for proofs.

    What a coordinator replays here is everything: how many false steps a smaller draw misses, its report says.
    """
    trusted, state = TrustedTask(task), task.init(jax.random.key(0))
    model: PyTree = {"params": jax.tree.map(np.asarray, state.params)}
    earlier = jax.tree.map(lambda leaf: np.asarray(leaf * 0.5, leaf.dtype), model)
    counts, seconds, replayed = np.zeros(3, int), 0.0, 0
    for number in range(setting.rounds):
        sites = [_site(task, parts[w], w, number, model, earlier, setting, folder) for w in range(setting.workers)]
        sites = [replace(site, neighbour=_neighbour(sites, at)) for at, site in enumerate(sites)]
        answers = [behave(site) for behave, site in zip(behaviours, sites, strict=True)]
        begun = time.monotonic()
        chosen = list(range(setting.workers))
        if aggregate is None:
            results = [_verify(site, answer, trusted) for site, answer in zip(sites, answers, strict=True)]
            chosen = [at for at, (verdict, _) in enumerate(results) if verdict is Verdict.ACCEPTED]
            replayed += sum(steps for _, steps in results)
        updates = [answers[at].update for at in chosen]
        earlier, model = model, _average(updates, model) if aggregate is None else aggregate(updates, model)
        seconds += time.monotonic() - begun
        lies = {at for at, behave in enumerate(behaviours) if behave is not honest}
        counts += (len(chosen), len(lies & set(chosen)), setting.workers - len(lies | set(chosen)))
        shutil.rmtree(folder)
    assert task.evaluate is not None  # noqa: S101  # those that are compared here have one
    accuracy = task.evaluate(state._replace(params=model["params"]))["test accuracy"]
    share = replayed / (setting.workers * setting.rounds * setting.steps)
    return Outcome(accuracy, int(counts[0]), int(counts[1]), int(counts[2]), seconds, share)


def _site(
    task: Task,
    records: Mapping[str, np.ndarray],
    worker: int,
    number: int,
    model: PyTree,
    earlier: PyTree,
    setting: Setting,
    folder: Path,
) -> Site:
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
        random=np.random.default_rng(worker),
    )


def _neighbour(sites: Sequence[Site], at: int) -> Callable[[], Answer]:
    return lambda: honest(replace(sites[0], folder=sites[at].folder))


def _verify(site: Site, answer: Answer, trusted: TrustedTask) -> tuple[Verdict, int]:
    result = verify_update(
        site.previous,
        answer.update,
        answer.proof,
        site.assignment,
        trusted=trusted,
        policy=AllSegments(),
        source=site.task.source,
    )
    return result.verdict, result.replayed


def _average(updates: Sequence[PyTree], model: PyTree) -> PyTree:
    if not updates:
        return model
    return jax.tree.map(lambda *leaves: np.mean(leaves, 0, np.float64).astype(leaves[0].dtype), *updates)
