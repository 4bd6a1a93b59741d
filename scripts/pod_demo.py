"""Train on a pod of virtual devices, lose a process, go on with another number of processes, and verify elsewhere.

    python scripts/pod_demo.py

It starts two processes with four devices of the CPU each. They train a small network that is cut over a mesh of four by
two; so do four processes with two devices, and one with eight. Then one of two processes is killed, and four continue.
The proof is verified bit for bit on eight devices, and within a tolerance on one. It takes one or two minutes, and says
in the end whether all went as it should.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

import pol_jax

_STEPS: Final = 12
_KILLED_AT: Final = 7
_WIDTH: Final = 128

State = dict[str, Any]


def task() -> pol_jax.Task:
    """Return a network of two layers, trained by gradients with momentum to tell where points lie."""
    points = np.random.default_rng(0).standard_normal((512, 32)).astype(np.float32)
    source = pol_jax.Arrays({"x": points, "label": (points[:, :4].sum(1) > 0).astype(np.int32)})

    def init(key: jax.Array) -> State:
        first, second = jax.random.split(key)
        params = {
            "in": jax.random.normal(first, (32, _WIDTH)) / 6,
            "out": jax.random.normal(second, (_WIDTH, 2)) / 12,
        }
        return {"params": params, "momentum": jax.tree.map(jnp.zeros_like, params)}

    def step(state: State, batch: State, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        def loss_of(params: State) -> jax.Array:
            hidden = jnp.tanh(batch["x"] @ params["in"])
            kept = jnp.where(jax.random.bernoulli(key, 0.9, hidden.shape), hidden / 0.9, 0)
            logits = jax.nn.log_softmax(kept @ params["out"])
            return -jnp.mean(jnp.take_along_axis(logits, batch["label"][:, None], 1))

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, state["momentum"], gradient)
        params = jax.tree.map(lambda p, m: p - 0.05 * m, state["params"], momentum)
        return {"params": params, "momentum": momentum}, {"loss": loss}

    return pol_jax.Task("pod demo", init, step, source, batch_size=32, steps=_STEPS, interval=4)


def run(out: str, process: int, processes: int, port: int, kill: bool) -> None:
    """Train in this process, together with the others."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, process, initialization_timeout=60)
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    state = {"in": PartitionSpec("data", "model"), "out": PartitionSpec("model")}

    def on_step(step: int, _metrics: Mapping[str, float]) -> None:
        if kill and process == 1 and step == _KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        pol_jax.train(
            task(),
            out,
            mesh=mesh,
            shardings=({"params": state, "momentum": state}, PartitionSpec("data")),
            on_step=on_step,
            timeout=10,
        )
    except pol_jax.PolError as error:
        sys.stderr.write(f"pol_jax: {error}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)  # jax would wait for the process that is gone
    os._exit(0)


def start(out: Path, processes: int, devices: int, *, kill: bool = False) -> list[str]:
    """Run processes that train together to their end; return how each of them ended."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    variables = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    begun = [
        subprocess.Popen(
            [sys.executable, __file__, str(out), str(number), str(processes), str(port), str(int(kill))],
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    ends = []
    for each in begun:
        _, errors = each.communicate(timeout=300)
        told = [line.removeprefix("pol_jax: ") for line in errors.splitlines() if line.startswith("pol_jax: ")]
        ends.append(
            told[-1][:110] if told else "ended well" if each.returncode == 0 else f"ended with {each.returncode}"
        )
    return ends


def judge(out: Path, devices: int) -> str:
    """Verify a proof in a confined process with so many devices; return verdict and mode."""
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    report = pol_jax.verify(out, task().source, policy=pol_jax.AllSegments(), trusted=task())
    return f"{report.verdict}, {report.mode}" if report.mode else f"{report.verdict}: {report.reasons[0]}"


def main() -> int:
    """Show it, and return 0 if all went as it should."""
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun:5.1f} s  {text}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / name for name in ("two", "four", "one", "killed")]
        for out, processes, devices in zip(outs, (2, 4, 1), (4, 2, 8), strict=False):
            say(f"{processes} x {devices} devices, whole: {start(out, processes, devices)}")
        killed = outs[-1]
        say(f"2 x 4 devices, the second process is killed at step {_KILLED_AT}: {start(killed, 2, 4, kill=True)}")
        left = pol_jax.open_proof(killed)
        say(f"  left: checkpoints {left.checkpoints()}, rows 0 to {left.last_step}")
        say(f"4 x 2 devices go on: {start(killed, 4, 2)}")
        claims = [pol_jax.open_proof(each).claim for each in outs]
        ends = [(each.ledger_root[:16], each.final_state[:16]) if each else ("none", "none") for each in claims]
        say(f"roots of the ledgers: {', '.join(root for root, _ in ends)}")
        say(f"final states: {', '.join(state for _, state in ends)}")
        one_claim = claims[0] is not None and claims[0] == claims[-1]  # the others name other numbers of processes
        say(f"the killed run and the first whole one have {'one claim' if one_claim else 'different claims'}")
        on_eight, on_one = judge(killed, 8), judge(killed, 1)
        say(f"verified on 8 devices: {on_eight}")
        say(f"verified on 1 device: {on_one}")
    same = len(set(ends)) == 1 and one_claim
    good = same and on_eight == "accepted, bits" and on_one == "accepted, tolerance"
    say("all as it should be" if good else "NOT as it should be")
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1")
    sys.exit(main())
