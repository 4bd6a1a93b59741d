"""Programs of several devices: no sum over devices is left to a backend. Their bits are in `test_transform`."""

from __future__ import annotations

from typing import Any

import exact_models
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from pol_jax.errors import TaskError
from pol_jax.exact import exact

DEVICES = 4


def test_no_order_is_left_to_a_backend() -> None:
    mesh = AbstractMesh((DEVICES,), ("batch",), axis_types=(AxisType.Auto,))
    traced = str(jax.make_jaxpr(exact(exact_models.collectives_over(mesh)))(*exact_models.shards()))
    assert "all_gather" in traced
    assert "all_to_all" in traced
    assert not [name for name in ("psum", "pmax", "pmin", "reduce_scatter") if name in traced]


def test_a_loss_and_its_gradient_over_devices_are_near_the_plain_ones() -> None:
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
    cut = PartitionSpec("batch")

    def step(weights: Any, x: Any) -> Any:
        loss, gradient = jax.value_and_grad(lambda w: lax.pmean(jnp.mean((x @ w) ** 2), "batch"))(weights)
        return weights - gradient, loss

    mapped = jax.shard_map(step, mesh=mesh, in_specs=(PartitionSpec(), cut), out_specs=(PartitionSpec(),) * 2)
    given = np.array([[1], [-2]], np.float32), np.array([[0.5, 1], [3, -1]], np.float32)
    for one, other in zip(jax.jit(exact(mapped))(*given), jax.jit(mapped)(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.int32])
def test_extrema_over_one_device_are_its_own_values(dtype: Any) -> None:
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
    whole = PartitionSpec()

    def extrema(x: Any) -> Any:
        return lax.pmax(x, "batch"), lax.pmin(x, "batch")

    mapped = jax.shard_map(extrema, mesh=mesh, in_specs=(whole,), out_specs=(whole, whole))
    x = np.arange(-3, 3).astype(dtype)
    x[1:4] = (-(2**31), 2**31 - 1, 2**24 + 1) if dtype is np.int32 else (np.nan, np.inf, -np.inf)
    for found in jax.jit(exact(mapped))(x):
        assert found.dtype == dtype
        np.testing.assert_array_equal(np.asarray(found, np.float64), np.asarray(x, np.float64))


def test_collectives_that_are_not_covered_are_refused() -> None:
    mesh = AbstractMesh((DEVICES,), ("batch",), axis_types=(AxisType.Auto,))
    cut = PartitionSpec("batch")
    offsets = np.zeros(DEVICES, np.int32)

    def exchange(x: Any) -> Any:
        return lax.ragged_all_to_all(x, x, offsets, offsets, offsets, offsets, axis_name="batch")

    mapped = jax.shard_map(exchange, mesh=mesh, in_specs=cut, out_specs=cut)
    with pytest.raises(TaskError, match="ragged_all_to_all"):
        jax.make_jaxpr(exact(mapped))(np.ones((DEVICES, 2), np.float32))
