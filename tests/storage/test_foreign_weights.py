"""Checkpoints are read as other projects write them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pol_jax.errors import UsageError
from pol_jax.storage.foreign_weights import load_weights, nested_by_name

WRITE = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np, orbax.checkpoint as ocp
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
root = Path(sys.argv[1])
mesh = Mesh(np.array(jax.devices()), ("d",))
params = {"w": jax.device_put(jnp.arange(16.).reshape(8, 2), NamedSharding(mesh, P("d", None)))}
with ocp.StandardCheckpointer() as saver:
    saver.save(root / "plain", {"params": params})
for step in (3, 12):
    with ocp.CheckpointManager(root / "manager") as manager:
        manager.save(step, args=ocp.args.StandardSave({"params": {"w": params["w"] + step}}))
with ocp.CheckpointManager(root / "items", item_names=("state", "extra")) as manager:
    manager.save(5, args=ocp.args.Composite(state=ocp.args.StandardSave(params), extra=ocp.args.JsonSave({"a": 1})))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that four devices have saved, in a process that has so many."""
    root = tmp_path_factory.mktemp("checkpoints")
    flags = "--xla_force_host_platform_device_count=4"
    settings = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", WRITE, str(root)], check=True, env=settings, capture_output=True)
    return root


@pytest.mark.parametrize(
    ("path", "offset"),
    [("plain", 0), ("manager", 12), ("manager/3", 3), ("items", 0), ("items/5", 0), ("items/5/state", 0)],
)
def test_saved_on_several_devices(path: str, offset: int, written: Path) -> None:
    """A manager's directory means its last step, by number."""
    loaded = load_weights(written / path)
    found = loaded["params"]["w"] if "params" in loaded else loaded["w"]
    np.testing.assert_array_equal(found, np.arange(16.0).reshape(8, 2) + offset)


@pytest.mark.parametrize("path", ["", "items/5/extra", "nowhere"])
def test_what_is_no_checkpoint(path: str, written: Path) -> None:
    with pytest.raises(UsageError, match="is no checkpoint that Orbax can read"):
        load_weights(written / path)


def test_names_of_files_are_paths() -> None:
    one, two = np.ones(1), np.ones(2)
    assert nested_by_name({"params/w": one, "b": two}) == {"params": {"w": one}, "b": two}
    assert nested_by_name({"params.layer.w": one, "b": two}) == {"params": {"layer": {"w": one}}, "b": two}
    with pytest.raises(UsageError, match="lies below another array"):
        nested_by_name({"params": one, "params/w": two})
