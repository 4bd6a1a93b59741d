"""A placement cuts arrays over the axes of a mesh as the commitment says."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from pol_jax.errors import BackendError
from pol_jax.program.placement import axes_alone, axes_of, place
from pol_jax.protocol.mesh import Mesh, MeshAxis

SIX = Mesh((MeshAxis("data", 2), MeshAxis("model", 3)), ((("data", "model"), ()), ((),), ()), ("data",))
ONE = Mesh((MeshAxis("data", 1),), ((("data",),), ((), ())), ("data",))


def test_each_leaf_and_the_batch_are_cut_as_the_mesh_says() -> None:
    found = place(SIX, axes_of(SIX))
    assert [each.spec for each in found.state] == [
        PartitionSpec(("data", "model"), None),
        PartitionSpec(None),
        PartitionSpec(),
    ]
    assert (found.batch.spec, found.whole.spec) == (PartitionSpec("data"), PartitionSpec())
    assert dict(axes_of(SIX).shape) == {"data": 2, "model": 3}


def test_a_mesh_of_more_devices_than_there_are_is_refused() -> None:
    with pytest.raises(BackendError, match="the run's mesh has 4096 devices"):
        place(Mesh((MeshAxis("data", 4096),), ((),), ()))


def test_one_device_has_all_rows_and_every_part() -> None:
    found = place(ONE)
    assert (found.has_peers, found.first_process) == (False, 0)
    assert axes_alone(found.devices) == axes_of(ONE)
    assert found.rows(4).tolist() == [0, 1, 2, 3]
    batch = (np.zeros((4, 2)), np.zeros(4))
    assert all(one is other for one, other in zip(found.feed(batch, 4), batch, strict=True))


def test_a_state_is_put_there_part_by_part() -> None:
    leaves = [np.arange(3, dtype=np.float32), np.arange(6, dtype=np.int32).reshape(2, 3)]
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    put = place(ONE).put(shapes, lambda at, index: leaves[at][index])
    for found, leaf, sharding in zip(put, leaves, place(ONE).state, strict=True):
        np.testing.assert_array_equal(found, leaf)
        assert found.sharding == sharding
