"""A coordinator and two workers with tiny records of their own, in the second round."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from untrusted.behaviours import honest
from untrusted.worker import Answer, Site

from pol_jax import (
    AllSegments,
    Arrays,
    Assignment,
    Task,
    TrustedTask,
    UpdateResult,
    open_proof,
    open_steps,
    register,
    verify_update,
    write_opening,
)
from pol_jax.training.task import Key, PyTree

STEPS, INTERVAL = 8, 2


def linear(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """A softmax by plain gradient descent, with a counter that is nobody's update."""

    def init(key: Key) -> PyTree:
        return {"params": {"w": jax.random.normal(key, (16, 3)), "b": jnp.zeros(3)}, "count": jnp.int32(0)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        def loss_of(params: PyTree) -> jax.Array:
            logits = batch["x"] @ params["w"] + params["b"][None]
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        params = jax.tree.map(lambda p, g: p - 0.1 * g, state["params"], gradient)
        return {"params": params, "count": state["count"] + 1}, {"loss": loss}

    return Task("linear", init, step, Arrays(tiny.points()), tiny.BATCH, steps or STEPS, INTERVAL)


TRUSTED: Final = TrustedTask(linear())


def records(worker: int) -> dict[str, np.ndarray]:
    """The records of a worker, as arrays."""
    return tiny.points(seed=10 + worker)


def task(worker: int) -> Task:
    """The task, with a worker's records."""
    return replace(linear(), source=Arrays(records(worker)))


def model(round: int) -> dict[str, dict[str, np.ndarray]]:
    """The global model of a round."""
    weights = np.linspace(-1, 1, tiny.FEATURES * tiny.CLASSES, dtype=np.float32)
    return {"params": {"w": 0.1 * (round + 1) * weights.reshape(tiny.FEATURES, -1), "b": np.zeros(3, np.float32)}}


def assignment(worker: int, round: int = 1) -> Assignment:
    """What a worker is asked for."""
    return Assignment(f"round {round} worker {worker}", STEPS, tiny.BATCH, INTERVAL, register(task(worker).source))


def site(worker: int, folder: Path) -> Site:
    """A worker at work."""
    return Site(
        task=task(worker),
        records=records(worker),
        previous=model(1),
        assignment=assignment(worker),
        folder=folder / f"worker {worker}",
        earlier=model(0),
        neighbour=lambda: honest(site(worker + 1, folder)),
        random=np.random.default_rng(worker),
    )


def judge(answer: Answer, worker: int = 0, **asked: Any) -> UpdateResult:
    """Verify an answer with the coordinator's copy of the records; every segment, unless told otherwise."""
    given: dict[str, Any] = {"policy": AllSegments(), "source": task(worker).source, "nonce": tiny.NONCE} | asked
    return verify_update(model(1), answer.update, answer.proof, assignment(worker), trusted=TRUSTED, **given)


def main() -> None:
    """Train as worker 0 in this process, under whatever XLA it has, and open all steps: FOLDER."""
    folder = Path(sys.argv[1])
    answer = honest(site(0, folder))
    opening = open_steps(open_proof(answer.proof), task(0).source, range(1, STEPS + 1))
    write_opening(folder / "opening", opening)
    np.savez(folder / "update.npz", **answer.update["params"])


if __name__ == "__main__":
    main()
