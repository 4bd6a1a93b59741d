"""Every built-in task keeps the contract of a `Task`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from standin import KEY

from pol_jax.training.pytrees import flatten_with_paths
from pol_jax.training.records import Arrays, record_spec
from pol_jax.training.task import BUILT_IN, load_task


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_task_keeps_the_contract(name: str, tiny: Path) -> None:
    task = load_task(name, data_dir=tiny, steps=20)
    assert (task.name, task.steps) == (name, 20)
    assert load_task(name, data_dir=tiny).steps >= 500
    assert all(type(value) in (str, int, float, bool) for value in task.hyperparameters.values())

    batch = cast(Arrays, task.source).records_at(np.arange(4))
    record = task.source[0]
    assert jax.tree.all(jax.tree.map(lambda b, r: b.shape == (4, *r.shape) and b.dtype == r.dtype, batch, record))
    assert all(leaf.dtype in ("uint8", "int32") for leaf in record_spec(task.source))

    with jax.numpy_rank_promotion("raise"):
        state = jax.eval_shape(task.init, KEY)
        jaxpr, (after, metrics) = jax.make_jaxpr(task.step, return_shape=True)(state, batch, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)  # type: ignore[operator, unused-ignore]  # jax gives it no type
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(after)] == [(x.shape, x.dtype) for x in jax.tree.leaves(state)]
    for path, leaf in flatten_with_paths(state):
        assert leaf.size, path
        assert leaf.dtype in (jnp.float32, jnp.int32), path
        assert "value" not in path
    assert set(metrics) == {"loss", "accuracy"}
    assert all(value.shape == () and value.dtype == jnp.float32 for value in metrics.values())
    assert sum(np.size(const) for const in jaxpr.consts) < 1000
