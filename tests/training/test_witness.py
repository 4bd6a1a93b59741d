"""Rows of processes that train together have what a replay in one process has, also where devices differ."""

from __future__ import annotations

from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec
from sharded import naming_devices

from pol_jax.program.placement import Placement, place
from pol_jax.protocol.rows import RowLayout
from pol_jax.proving.choices import PRNG
from pol_jax.proving.sharding import committed_mesh
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.export import structure_of
from pol_jax.training.inputs import StepInput
from pol_jax.training.processes import Processes
from pol_jax.training.shards import ShardedLayout
from pol_jax.training.witness import Witness


@pytest.mark.parametrize("first", [0, 1])
def test_the_metrics_are_those_of_the_first_device(first: int) -> None:
    """A mesh may begin with a device of another process, and a step with ``check_vma=False`` give each its own loss."""
    structure = structure_of(task := naming_devices("own"), PRNG)
    mesh = committed_mesh(AbstractMesh((1,), ("data",)), (PartitionSpec(), PartitionSpec()), structure, task.batch_size)
    records = mock.create_autospec(CommittedRecords, instance=True)
    records.check.return_value = np.zeros((1, 32), np.uint8)
    processes = mock.create_autospec(Processes, instance=True, count=2)
    other = np.float32(7).tobytes()
    processes.agree.side_effect = lambda what, own, decide: decide([own, other]) if "metrics" in what else b""
    layout = ShardedLayout(structure.spec, place(mesh))
    witness = Witness(layout, records, lambda _: False, RowLayout(), processes=processes)
    inputs = StepInput(1, np.zeros(2, np.uint32), np.zeros(1, np.uint64), ())
    with mock.patch.object(Placement, "first_process", first):
        row = witness.row(inputs, [jnp.float32(3)], None)
    assert np.frombuffer(row.metrics, np.float32).tolist() == [[3.0], [7.0]][first]
