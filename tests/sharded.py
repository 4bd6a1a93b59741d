"""A tiny network on several devices: what processes of a pod run, and how tests start them."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from forked import Forked, forked
from jax._src import compiler
from jax.sharding import AbstractMesh, AxisType, PartitionSpec
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.mesh import Mesh
from pol_jax.proving import recording
from pol_jax.proving.choices import PRNG
from pol_jax.proving.sharding import Shardings, committed_mesh
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.training.export import structure_of
from pol_jax.training.processes import Processes
from pol_jax.training.shards import ShardedLayout, ShardedState
from pol_jax.training.task import Key, PyTree

STEPS: Final = 8
INTERVAL: Final = 4
AXES: Final = AbstractMesh((2, 2), ("data", "model"))
WHOLE: Final = PartitionSpec()
_RECORDS: Final = 64
_FEATURES: Final = 16
_PATIENCE: Final = 120
_RUNS: Final[list[Processes]] = []
"""What processes of this run wait for so many seconds, until a case says otherwise; and how they speak, by run."""


def records() -> pol_jax.Arrays:
    """Points of two classes."""
    drawn = np.random.default_rng(0).standard_normal((_RECORDS, _FEATURES)).astype(np.float32)
    return pol_jax.Arrays({"x": drawn, "label": (drawn.sum(1) > 0).astype(np.int32)})


def task(
    data_dir: Path | None = None, steps: int | None = None, arithmetic: Literal["exact"] | None = None
) -> pol_jax.Task:
    """Two layers with dropout, trained by Adam; the state has typed keys, several in one array."""
    optimizer = optax.adam(1e-2)

    def init(key: Key) -> dict[str, PyTree]:
        first, second, rest = jax.random.split(key, 3)
        params = {
            "w1": 0.2 * jax.random.normal(first, (_FEATURES, 32)),
            "w2": 0.2 * jax.random.normal(second, (32, 2)),
            "b": jnp.zeros((2,)),
        }
        return {"params": params, "optimizer": optimizer.init(params), "keys": jax.random.split(rest, 2)}

    def step(state: dict[str, PyTree], batch: PyTree, key: Key) -> tuple[dict[str, PyTree], dict[str, jax.Array]]:
        def loss_of(params: dict[str, jax.Array]) -> jax.Array:
            hidden = jax.nn.relu(batch["x"] @ params["w1"])
            kept = jnp.where(jax.random.bernoulli(key, 0.9, hidden.shape), hidden / 0.9, 0)
            logits = kept @ params["w2"] + params["b"]
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]))

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        updates, moments = optimizer.update(gradient, state["optimizer"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "optimizer": moments, "keys": state["keys"]}, {"loss": loss}

    return pol_jax.Task("sharded", init, step, records(), 8, steps or STEPS, INTERVAL, arithmetic=arithmetic)


def naming_devices(how: str, arithmetic: Literal["exact"] | None = None) -> pol_jax.Task:
    """One layer, whose step names the axes of the mesh around it, or the devices of `mesh`.

    Args:
        how: "shard_map" (the loss and the gradient are sums over devices), "devices" or "axes" (the same over a mesh of
            the task's own, or over the axes of one), "explicit" (over a mesh with axes of that type), "blind" (the
            gradient takes nothing of the batch), "lost" (it takes what comes from no device, which is 0), "own" (it is
            different on each device), or "constraint" (of what lies between).
        arithmetic: of the task.
    """

    def init(key: Key) -> dict[str, PyTree]:
        return {"w": 0.2 * jax.random.normal(key, (_FEATURES, 2)), "momentum": jnp.zeros(2 * _FEATURES)}

    def loss_of(w: jax.Array, x: jax.Array, label: jax.Array) -> jax.Array:
        logits = x @ w
        if how == "constraint":
            logits = jax.lax.with_sharding_constraint(logits, PartitionSpec("data", "model"))
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, label))

    def summed(w: jax.Array, x: jax.Array, label: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(w, x, label)
        if how == "lost":
            gradient = w + jax.lax.ppermute(gradient, "data", [])
        gradient = {"blind": w, "own": gradient + jax.lax.axis_index("data")}.get(how, gradient)
        return jax.lax.psum(loss, "data") / 2, gradient if how == "own" else jax.lax.psum(gradient, "data") / 2

    def step(state: dict[str, PyTree], batch: PyTree, _: Key) -> tuple[dict[str, PyTree], dict[str, jax.Array]]:
        whole, cut = PartitionSpec(), PartitionSpec("data")
        takes, gives = (whole, cut, cut), (whole, whole)
        mapped = jax.shard_map(summed, mesh=_own_mesh(how), in_specs=takes, out_specs=gives, check_vma=False)
        function = jax.value_and_grad(loss_of) if how == "constraint" else mapped
        loss, gradient = function(state["w"], batch["x"], batch["label"])
        momentum = 0.9 * state["momentum"] + gradient.ravel()
        return {"w": state["w"] - 0.1 * momentum.reshape(_FEATURES, 2), "momentum": momentum}, {"loss": loss}

    return pol_jax.Task(f"naming {how}", init, step, records(), 8, STEPS, INTERVAL, arithmetic=arithmetic)


def mesh_of(how: str, state: Any = None) -> Mesh:
    """The committed mesh of `naming_devices`, of four devices; its state is cut as told, or as `shardings` says."""
    task = naming_devices(how)
    cut = shardings(task) if state is None else (state, WHOLE)
    return committed_mesh(AXES, cut, structure_of(task, PRNG), task.batch_size)


def mesh(data: int = 2, model: int = 2) -> jax.sharding.Mesh:
    """A mesh of so many devices."""
    devices = jax.devices()[: data * model]
    return jax.make_mesh((data, model), ("data", "model"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def _own_mesh(how: str) -> jax.sharding.Mesh | AbstractMesh | None:
    types = {"axes": AxisType.Auto, "explicit": AxisType.Explicit}
    if how in types:
        return AbstractMesh((2, 2), ("data", "model"), axis_types=(types[how],) * 2)
    return mesh() if how == "devices" else None


def shardings(sharded_task: pol_jax.Task) -> Shardings:
    """Matrices are cut along both axes, keys among the rows of the mesh, and everything else is whole."""

    def cut(path: Any, leaf: jax.Array) -> PartitionSpec:
        if leaf.ndim == 2:
            return PartitionSpec("data", "model")
        return PartitionSpec("data") if "keys" in jax.tree_util.keystr(path) else PartitionSpec()

    state = jax.eval_shape(sharded_task.init, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(cut, state), PartitionSpec("data")


def run(settings: Mapping[str, Any]) -> None:
    """Train in this process, which is one of several if the settings have a port: one case after the other.

    It says in one line each how they ended.
    """
    if "port" in settings:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            f"127.0.0.1:{settings['port']}", settings["processes"], settings["process"], initialization_timeout=60
        )
        _keep_programs()
    for case in settings["cases"]:
        with _disturbed(case, settings["process"]):
            print(json.dumps(_train(case, settings["process"])), flush=True)
    os._exit(0)  # jax would wait for processes that are gone


def _keep_programs() -> None:
    """Let this process keep what it compiles for later runs.

    In jax only the first one does, and each looks under keys of its own.
    """
    as_first = SimpleNamespace(global_state=SimpleNamespace(process_id=0, client=None))
    mock.patch.object(compiler, "distributed", as_first).start()


def _train(case: Mapping[str, Any], process: int) -> dict[str, Any]:
    def on_step(step: int, _metrics: Mapping[str, float]) -> None:
        time.sleep(case.get("pause", 0))
        if step == case.get("at"):
            _lose_patience(case)
        if process == 1 and step == case.get("at"):
            os.kill(os.getpid(), getattr(signal, case["signal"]))

    arithmetic = case.get("arithmetic")
    sharded_task = naming_devices(case["names"], arithmetic) if "names" in case else task(arithmetic=arithmetic)
    try:
        proof = pol_jax.train(
            sharded_task,
            case["out"],
            on_step=on_step,
            mesh=mesh(),
            shardings=shardings(sharded_task),
            timeout=_PATIENCE,
        )
    except pol_jax.PolError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"step": proof.last_step, "claim": proof.claim.digest().hex() if proof.claim else None} | _judged(case)


def _judged(case: Mapping[str, Any]) -> dict[str, Any]:
    """Verify in this process what it has trained, if a case asks for it: on the same devices."""
    if "judged" not in case:
        return {}
    report = verify(case["out"], records(), policy=pol_jax.AllSegments(), any_program=True)
    return {"verdict": report.verdict.value, "reasons": report.reasons}


@contextmanager
def _disturbed(case: Mapping[str, Any], process: int) -> Iterator[None]:
    """Let devices have other bits in a case, unchecked, or a process die, or its disk be slow."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(recording, "Processes", _remembered))
        if "flipped" in case:
            stack.enter_context(_flipped(case["flipped"]))
        if "unchecked" in case:
            stack.enter_context(mock.patch.object(ShardedState, "check_replicas"))
        for what, act in (("killed_in_save", _die), ("slow_in_save", _wait)):
            if what in case:
                stack.enter_context(_in_save(act if case[what] == process else partial(_lose_patience, case)))
        yield


def _lose_patience(case: Mapping[str, Any]) -> None:
    """Wait no longer than a case says from now on, in this process: what disturbs it is about to happen.

    Before, the processes compile, and a busy machine lets one of them wait long for the other.
    """
    if "timeout" in case:
        vars(_RUNS[-1]).update(_timeout=case["timeout"])


def _remembered(timeout: float) -> Processes:
    _RUNS.append(Processes(timeout))
    return _RUNS[-1]


def _die() -> None:
    os._exit(9)


def _wait() -> None:
    time.sleep(2)


def _in_save(act: Callable[[], None]) -> AbstractContextManager[Any]:
    true = CheckpointWriter.save

    def save(writer: CheckpointWriter, step: int, leaves: Any) -> None:
        if step == INTERVAL:
            act()
        true(writer, step, leaves)

    return mock.patch.object(CheckpointWriter, "save", save)


def _flipped(devices: Sequence[int]) -> AbstractContextManager[Any]:
    """Let devices have other bits than the others in a leaf that all have."""
    fetch = ShardedLayout.fetch

    def fetch_flipped(layout: ShardedLayout, packed: Any) -> Any:
        at = [leaf.path for leaf in layout.spec].index("/params/b")
        wrong = [jax.devices()[device] for device in devices]
        parts = [
            jax.device_put(np.asarray(shard.data) + 1, shard.device) if shard.device in wrong else shard.data
            for shard in packed[at].addressable_shards
        ]
        flipped = jax.make_array_from_single_device_arrays(packed[at].shape, packed[at].sharding, parts)
        return fetch(layout, (*packed[:at], flipped, *packed[at + 1 :]))

    return mock.patch.object(ShardedLayout, "fetch", fetch_flipped)


def started(
    processes: int, devices: int, cases: Sequence[Mapping[str, Any]], *, gloo: bool = True
) -> AbstractContextManager[Forked]:
    """Start processes that train together, one case after the other; all are killed in the end."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    several = {"port": port, "processes": processes} if gloo else {}
    settings = [{"process": number, "cases": cases, **several} for number in range(processes)]
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return forked("sharded", "run", settings, flags)


def trained(processes: int, devices: int, *cases: Mapping[str, Any], gloo: bool = True) -> list[list[dict[str, Any]]]:
    """Return how each case ended, in each of some processes that trained together; of one that was killed, no word.

    Args:
        processes: how many.
        devices: how many each has.
        cases: what they do, one after the other: ``out``, and what disturbs them.
        gloo: whether sums are gloo's; without it there can be one process only.
    """
    with started(processes, devices, [{**case, "out": str(case["out"])} for case in cases], gloo=gloo) as begun:
        outputs = [begun.output(number, 600) for number in range(processes)]
    found = list[list[dict[str, Any]]]()
    for output, errors in outputs:
        ends = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        told = [line.removeprefix("pol_jax: ") for line in errors.splitlines() if line.startswith("pol_jax: ")]
        rest = [{"error": told[-1] if told else "no word"}] * (len(cases) - len(ends))
        found.append(ends + rest)
    return [[each[at] for each in found] for at in range(len(cases))]
