"""A step of Flax NNX, which changes objects in place, becomes a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
import tiny
from flax import nnx
from unsandboxed import verify

from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.train import train
from pol_jax.tasks.nnx import from_nnx
from pol_jax.training.records import Arrays
from pol_jax.training.task import Task


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(tiny.FEATURES, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(8, tiny.CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> Any:
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


def build(rngs: nnx.Rngs) -> tuple[Any, ...]:
    model = Model(rngs)
    return model, nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)


def train_step(model: Any, optimizer: Any, batch: Any) -> dict[str, jax.Array]:
    def loss_of(model: Any) -> jax.Array:
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(model(batch["x"]), batch["label"]))

    loss, gradient = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, gradient)
    return {"loss": loss}


def test_it_is_proven_and_verified(tmp_path: Path) -> None:
    init, step = from_nnx(build, train_step)
    task = Task("nnx", init, step, Arrays(tiny.points()), tiny.BATCH, 40, 10)
    proof = train(task, tmp_path / "proof")
    losses = [row.loss for row in proof.rows() if row.loss is not None]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n")
    assert report.verdict == "accepted", report.reasons


def test_statistics_counters_and_keys_are_part_of_the_state() -> None:
    """What NNX changes in place must be in the state, or steps would not be pure."""
    init, step = from_nnx(build, train_step)
    before = init(jax.random.key(0))
    batch = {name: leaf[: tiny.BATCH] for name, leaf in tiny.points().items()}
    after, _ = jax.jit(step)(before, batch, jax.random.key(1))
    changed = {
        jax.tree_util.keystr(path)
        for (path, one), (_, other) in zip(
            jax.tree_util.tree_leaves_with_path(before), jax.tree_util.tree_leaves_with_path(after), strict=True
        )
        if not jnp.issubdtype(one.dtype, jax.dtypes.prng_key) and bool((one != other).any())
    }
    for part in ("['norm']['mean']", "['dropout']['rngs']['count']", "['first']['kernel']", "['opt_state']"):
        assert any(part in path for path in changed), part
    assert jax.tree.structure(before) == jax.tree.structure(after)  # type: ignore[operator, unused-ignore]


@pytest.mark.parametrize("several", [True, False])
def test_one_object_or_several(several: bool) -> None:
    def one(rngs: nnx.Rngs) -> Any:
        model = nnx.Linear(2, 2, rngs=rngs)
        return (model, nnx.Linear(2, 2, rngs=rngs)) if several else model

    def nothing(*objects: Any) -> dict[str, jax.Array]:
        assert len(objects) == (3 if several else 2)
        return {"loss": objects[0].kernel[...].sum()}

    init, step = from_nnx(one, nothing)
    state = init(jax.random.key(0))
    new, metrics = step(state, {}, jax.random.key(1))
    assert set(metrics) == {"loss"}
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), state, new))
