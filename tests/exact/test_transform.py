"""Whole programs: export, and a training step in many compilations."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import exact_models
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pol_jax.exact import exact

STEPS = 3
CHILD = """
import hashlib, os, pickle, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.export, numpy as np
exported = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
state, inputs = pickle.load(open(sys.argv[2], "rb"))
step = jax.jit(exported.call)
for given in inputs:
    state, _ = step(state, *given)
print(hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(state))).hexdigest()[:16])
"""
COMPILATIONS: dict[str, dict[str, Any]] = {
    "no optimisation": {"xla_backend_optimization_level": "0"},
    "fast math": {"xla_cpu_enable_fast_math": True},
}
"""More of them: ``scripts/exact_variants.py``."""
OLD_MACHINE = "--xla_cpu_max_isa=SSE4_2 --xla_cpu_enable_fast_math=true"

SHARDED = f"""
import jax, numpy as np, exact_models
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from pol_jax.exact import exact
mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
state = jax.device_put(exact_models.initial(), NamedSharding(mesh, PartitionSpec()))
step = jax.jit(exact(exact_models.step))
for index in range({STEPS}):
    batch = jax.device_put(exact_models.batch(index), NamedSharding(mesh, PartitionSpec("batch")))
    state, _ = step(state, batch, exact_models.KEY)
print(exact_models.digest(state))
print(exact_models.digest(jax.jit(exact(exact_models.collectives_over(mesh)))(*exact_models.shards())))
"""


def trained(step: Any) -> Any:
    state = exact_models.initial()
    for index in range(STEPS):
        state, _ = step(state, exact_models.batch(index), exact_models.KEY)
    return state


@pytest.fixture(scope="module")
def exported() -> jax.export.Exported:
    """The tiny step, for all platforms, as a proof would hold it."""
    function = jax.jit(exact(exact_models.step))
    made = jax.export.export(function, platforms=["cpu", "cuda", "tpu"])(
        exact_models.initial(), exact_models.batch(0), exact_models.KEY
    )
    return jax.export.deserialize(made.serialize())


@pytest.fixture(scope="module")
def state(exported: jax.export.Exported) -> Any:
    return trained(jax.jit(exported.call))


def test_the_exact_step_is_near_the_plain_one(state: Any) -> None:
    plain = trained(jax.jit(exact_models.step))
    for one, other, start in zip(*map(jax.tree.leaves, (state, plain, exact_models.initial())), strict=True):
        way = np.abs(np.asarray(other, np.float64) - start).max()
        assert np.abs(np.asarray(one, np.float64) - other).max() <= 1e-4 * way


@pytest.mark.parametrize("name", COMPILATIONS)
def test_every_compilation_has_the_same_bits(name: str, exported: jax.export.Exported, state: Any) -> None:
    arguments = (exact_models.initial(), exact_models.batch(0), exact_models.KEY)
    compiled = jax.jit(exported.call).lower(*arguments).compile(compiler_options=COMPILATIONS[name])
    assert exact_models.digest(trained(compiled)) == exact_models.digest(state)


def test_an_old_machine_with_one_core_has_the_same_bits(
    exported: jax.export.Exported, state: Any, tmp_path: Path
) -> None:
    inputs = [(exact_models.batch(index), exact_models.KEY) for index in range(STEPS)]
    artifact, given = tmp_path / "program", tmp_path / "inputs"
    artifact.write_bytes(bytes(exported.serialize()))
    given.write_bytes(pickle.dumps((exact_models.initial(), inputs)))
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": OLD_MACHINE, "NPROC": "1"}
    command = [sys.executable, "-c", CHILD, str(artifact), str(given)]
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert out.split()[-1] == exact_models.digest(state)


@pytest.fixture(scope="module")
def on_four_devices() -> list[str]:
    """The digests of a training whose batches are cut, and of the collectives; with fast math."""
    flags = "--xla_force_host_platform_device_count=4 --xla_cpu_enable_fast_math=true"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(exact_models.__file__).parent), *sys.path])
    command = [sys.executable, "-c", SHARDED]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()


def test_four_devices_have_the_same_bits(on_four_devices: list[str], state: Any) -> None:
    """An exact program says nothing of devices: how it is split among them changes no bit."""
    assert on_four_devices[0] == exact_models.digest(state)


def test_sums_over_devices_are_those_of_the_document(on_four_devices: list[str]) -> None:
    """NumPy adds the devices' terms in the order of docs/exact.md: (0 + 2) + (1 + 3)."""
    parts, counts = exact_models.shards()
    parts = parts.reshape(4, -1)  # a row is what a device has
    total = (parts[0] + parts[2]) + (parts[1] + parts[3])
    half = parts.astype(jnp.bfloat16)
    wide = half.astype(np.float32)
    rounded = ((wide[0] + wide[2]) + (wide[1] + wide[3])).astype(jnp.bfloat16)
    expected = [
        total,
        total,
        rounded,
        parts.max(0),
        parts.min(0),
        np.roll(parts, 1, 0),
        counts.sum(0, keepdims=True, dtype=np.int32),
    ]
    assert on_four_devices[1] == exact_models.digest(expected)


def test_steps_in_a_scan_are_the_same_steps(state: Any) -> None:
    batches = jax.tree.map(lambda *parts: np.stack(parts), *(exact_models.batch(index) for index in range(STEPS)))

    def all_steps(start: Any, batches: Any, key: Any) -> Any:
        return lax.scan(lambda carry, given: exact_models.step(carry, given, key), start, batches)[0]

    assert exact_models.digest(
        jax.jit(exact(all_steps))(exact_models.initial(), batches, exact_models.KEY)
    ) == exact_models.digest(state)


def test_a_batch_of_exact_functions_has_the_same_bits() -> None:
    x = np.linspace(-2, 3, 15, dtype=np.float32).reshape(3, 5)

    def function(row: Any) -> Any:
        return jnp.exp(row) * row + jnp.sum(row)

    together = np.asarray(jax.jit(jax.vmap(exact(function)))(x))
    for row, result in zip(x, together, strict=True):
        assert np.asarray(jax.jit(exact(function))(row)).tobytes() == result.tobytes()


def test_results_are_canonical() -> None:
    x = np.array([np.nan, -0.0, 2.0**-130, -np.inf], np.float32)
    x.view(np.uint32)[0] = 0xFFC12345
    found = np.asarray(jax.jit(exact(lambda x: x))(x)).view(np.uint32)
    assert [hex(word) for word in found] == ["0x7fc00000", "0x0", "0x0", "0xff800000"]
