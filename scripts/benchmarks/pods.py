"""What a proof costs on a pod: two processes with four virtual devices each, and a transformer that is fully sharded.

The exported program runs with a proof and without, in turns, in the same processes; the digest of every state is taken.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

import pol_jax
from benchmarks.processes import SCRIPTS, peak_bytes
from benchmarks.table import Line
from pol_jax.tasks.transformer import Transformer
from pol_jax.training.shards import ShardedLayout

_PROCESSES, _DEVICES = 2, 4
_STEPS: Final = 4
"""Of one turn."""

_CODE: Final = "import sys; from benchmarks.pods import run; run(*sys.argv[1:])"


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Run both processes, and compare what each of them took."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
        found.close()
        variables = os.environ | {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={_DEVICES}",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(SCRIPTS), os.environ.get("PYTHONPATH")))),
        }
        begun = [
            subprocess.Popen(  # our own code
                [sys.executable, "-c", _CODE, folder, str(number), str(port), "3" if quick else "12"],
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for number in range(_PROCESSES)
        ]
        results = [json.loads(each.communicate()[0].splitlines()[-1]) for each in begun]
    first = results[0]
    turns = [  # of all processes together
        sum(each["recorded"][turn] for each in results) / sum(each["plain"][turn] for each in results)
        for turn in range(len(first["plain"]))
    ]
    note = f"a state has {first['state'] / 1e6:.1f} MB, {first['pieces']} pieces; a step {first['step']:.0f} ms of CPU"
    ratio = f"{statistics.median(turns):.3f} ({min(turns):.3f}-{max(turns):.3f})"
    yield Line("2 processes x 4 devices: CPU with / without a proof", ratio, "1.05", note)
    sent = f"{first['sent'] / first['pieces']:.1f}"
    yield Line("bytes to the first process per piece and witness", sent, "32", "by the layout; 0 a record")
    peak = max(each["beyond"] for each in results)
    yield Line("memory while recorded, beyond that before, MB", f"{peak / 1e6:.0f}", "", "of one process")


def run(folder: str, process: str, port: str, turns: str) -> None:
    """Measure in one of the processes, and print what it found."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", _PROCESSES, int(process), initialization_timeout=60)
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    steps = _STEPS * int(turns)
    task = _task(steps)
    state = jax.tree.map(
        lambda leaf: PartitionSpec("data", "model") if leaf.ndim == 2 else PartitionSpec(),
        jax.eval_shape(task.init, jax.random.key(0)),
    )
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    choices = pol_jax.Choices(witness_interval=1)
    with pol_jax.Recording(
        task, Path(folder) / "proof", mesh=mesh, shardings=(state, PartitionSpec("data")), choices=choices
    ) as recording:
        program, recorded, inputs = recording.program, recording.state, iter(recording)
        batch = tuple(leaf[: task.batch_size][program.rows] for leaf in (_text(),))
        plain, key, before = program.put(recording.leaves), np.zeros(2, np.uint32), 0
        for turn in range(int(turns)):
            begun = time.process_time()
            for _ in range(_STEPS):
                plain, _ = program.step(plain, program.feed(batch), key)
            jax.block_until_ready(plain)
            times["plain"].append(time.process_time() - begun)
            before = before or peak_bytes()
            begun = time.process_time()
            for _ in range(_STEPS):
                recorded, _ = recording.step(recorded, next(inputs))
            jax.block_until_ready(recorded)
            if recording.follower and turn < int(turns) - 1:  # the last turn saves a checkpoint
                recording.follower.wait()
            times["recorded"].append(time.process_time() - begun)
        layout = recording.witness.layout
        assert isinstance(layout, ShardedLayout)  # noqa: S101  # there is a mesh
        sent = sum(32 * len(shard.pieces) for number in range(1, _PROCESSES) for shard in layout.owned(number))
    warm = {kind: found[1:-1] for kind, found in times.items()}  # without compiling, and without the checkpoint
    found: dict[str, Any] = warm | {
        "state": sum(leaf.nbytes for leaf in layout.spec),
        "pieces": layout.pieces,
        "step": 1e3 * statistics.median(warm["plain"]) / _STEPS,
        "sent": sent,
        "beyond": peak_bytes() - before,
    }
    print(json.dumps(found), flush=True)
    os._exit(0)


def _text() -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, 5, (256, 65))
    return (np.cumsum(drawn, -1) % 256).astype(np.uint8)


def _task(steps: int) -> pol_jax.Task:
    optimizer = optax.adam(1e-3)

    def build(rngs: nnx.Rngs) -> Transformer:
        return Transformer(256, 1, 256, 4, 0.0, rngs=rngs)

    graph = nnx.graphdef(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def init(key: jax.Array) -> Any:
        params = nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key))))
        return {"params": params, "optimizer": optimizer.init(params)}

    def step(state: Any, records: Any, key: jax.Array) -> Any:
        def loss_of(params: Any) -> jax.Array:
            text = records["text"].astype(jnp.int32)
            logits = nnx.merge(graph, params)(text[:, :-1], nnx.Rngs(key))
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, text[:, 1:]))

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        updates, moments = optimizer.update(gradient, state["optimizer"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "optimizer": moments}, {"loss": loss}

    return pol_jax.Task("pods", init, step, pol_jax.Arrays({"text": _text()}), 32, steps, steps)
