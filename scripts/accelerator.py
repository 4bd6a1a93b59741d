"""Show on a machine with an accelerator what proofs do there: same bits, judgement of each other's, and costs.

    python scripts/accelerator.py --out accelerator.json [--data-dir DIR] [--tiny]

For one GPU, or TPUs of one host, with a jax for it. Each part runs in processes of its own, within a time of its own,
and survives the failure of the others; none begins after ``--seconds`` (480). It writes one JSON file and prints a line
for each part. ``--tiny`` is for trying the script on a CPU. ``--data-dir`` is the TFDS data directory for ResNet-20 on
CIFAR-10 and the transformer on Shakespeare; without it they are left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pol_jax

_REPEATABLE: Final = "--xla_gpu_exclude_nondeterministic_ops=true --xla_gpu_autotune_level=0"
"""The flags that docs/reproducibility.md names for equal bits on GPUs; other backends need none."""

Facts = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the parts share.

    Attributes:
        folder: for proofs.
        data: the TFDS data directory, or None.
        tiny: whether to try the script alone.
        accelerator: name of the platform, such as ``cuda``.
    """

    folder: Path
    data: Path | None
    tiny: bool
    accelerator: str

    @property
    def flags(self) -> str:
        """Return what to add to ``XLA_FLAGS`` for equal bits."""
        return _REPEATABLE if self.accelerator in ("cuda", "gpu") else ""

    def pol(self, *words: object, flags: str | None = None, cpu: bool = False) -> str:
        """Run a command of pol, on the accelerator or on the CPU; return what it printed.

        Raises:
            RuntimeError: it ended with another status than those of verdicts.
        """
        variables = dict(os.environ)
        if cpu:
            variables["JAX_PLATFORMS"] = "cpu"
        else:
            given = self.flags if flags is None else flags
            variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} {given}".strip()
        command = [sys.executable, "-m", "pol_jax", *map(str, words)]
        if self.data is not None and words[0] in ("train", "verify", "open"):
            command += ["--data-dir", str(self.data)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=240)
        if done.returncode not in (0, 1, 3):
            raise RuntimeError(f"pol {words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
        return done.stdout

    def train(self, task: str, name: str, *more: object, **how: Any) -> Path:
        """Train with a proof in the folder, unless it is there."""
        out = self.folder / name
        if not out.exists():
            steps, interval = (6, 3) if self.tiny else (40, 10)
            self.pol(
                "train", task, "--out", out, "--steps", steps, "--interval", interval, "--no-evaluate", *more, **how
            )
        return out

    def verify(self, proof: Path, *more: object, **how: Any) -> Facts:
        """Verify every segment; return verdict, mode and seconds."""
        report, begun = self.folder / "report.json", time.monotonic()
        self.pol("verify", proof, "--all", "--json", report, *more, **how)
        found = json.loads(report.read_bytes())
        return {
            "verdict": found["verdict"],
            "mode": found["mode"],
            "reason": found["reasons"][-1],
            "seconds": round(time.monotonic() - begun, 1),
        }


def _final_state(proof: Path) -> str:
    return str(json.loads((proof / "claim.json").read_bytes())["final_state"])


def _tasks(setting: Setting) -> list[str]:
    return ["digits"] if setting.data is None else ["digits", "cifar10", "shakespeare"]


def same_bits(setting: Setting) -> Facts:
    """Train twice, in two processes, with the flags and without; verify bit for bit, exactly."""
    found: Facts = {} if setting.data else {"left out": "cifar10 and shakespeare, which need --data-dir"}
    for task in _tasks(setting):
        for kind, flags in {"with flags": setting.flags, "without flags": ""}.items():
            if kind == "without flags" and not setting.flags:
                continue
            names = [f"{task}-{kind.split(' ')[0]}-{number}" for number in (1, 2)]
            first, second = (setting.train(task, name, flags=flags) for name in names)
            same = _final_state(first) == _final_state(second)
            found[f"{task}, {kind}"] = {"same final state": same} | setting.verify(first, "--exact", flags=flags)
    return found


def each_others(setting: Setting) -> Facts:
    """Judge here what was trained on the CPU, and the other way round; openings and exact programs too."""
    on_device, on_cpu = setting.train("digits", "digits-with-1"), setting.train("digits", "digits-cpu", cpu=True)
    found: Facts = {
        "proof of the CPU": setting.verify(on_cpu),
        "proof of here, on the CPU": setting.verify(on_device, cpu=True),
    }
    for name, proof, cpu in (("opening of the CPU", on_cpu, True), ("opening of here, on the CPU", on_device, False)):
        opening, report = setting.folder / f"{proof.name}.opening", setting.folder / "opening.json"
        setting.pol("open", proof, "--steps", "1,2", "--out", opening, cpu=cpu)
        setting.pol("verify", proof, "--opening", opening, "--steps", "1,2", "--json", report, cpu=not cpu)
        judged = json.loads(report.read_bytes())
        used = [each["decisions"] for each in judged["compared"] if each["decisions"]]
        found[name] = {"verdict": judged["verdict"], "mode": judged["mode"], "with decisions": len(used)}
    exact = setting.train("digits", "digits-exact", "--arithmetic", "exact", cpu=True)
    found["exact program of the CPU"] = setting.verify(exact)
    return found


def costs(setting: Setting) -> Facts:
    """Measure the steps of a transformer of about 100 million parameters, with a proof and without."""
    return _measured("steps", setting)


def digests(setting: Setting) -> Facts:
    """Measure the digest of a large state where it lies, by the kernel, and on the host."""
    return _measured("digests", setting)


def _measured(what: str, setting: Setting) -> Facts:
    command = [sys.executable, __file__, "--measure", what, *(["--tiny"] if setting.tiny else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def sandbox(setting: Setting) -> Facts:
    """Verify in a confined process, in one that is not, and with two that replay."""
    proof = setting.train("digits", "digits-with-1")
    found: Facts = {
        "confined": setting.verify(proof),
        "unconfined": setting.verify(proof, "--unconfined"),
        "two processes": setting.verify(proof, "--jobs", 2),
    }
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return found | {"largest process so far": f"{most} MiB of host memory"}


PARTS: Final[Mapping[str, Callable[[Setting], Facts]]] = {
    "same bits": same_bits,
    "each other's": each_others,
    "digests": digests,
    "costs": costs,
    "sandbox": sandbox,
}


def _transformer_task(tiny: bool) -> pol_jax.Task:
    """Return the task whose steps are timed; its steps are one segment, so that no checkpoint falls between them."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax
    from flax import nnx

    import pol_jax
    from pol_jax.tasks.transformer import Transformer

    layers, width, batch, length = (2, 32, 4, 16) if tiny else (12, 768, 8, 256)
    optimizer = optax.adam(1e-4)
    tokens = 256 if tiny else 16384

    def build(rngs: nnx.Rngs) -> Transformer:
        return Transformer(tokens, layers, width, width // 16, 0.0, rngs=rngs)

    graph = nnx.graphdef(nnx.eval_shape(lambda: build(nnx.Rngs(0))))
    text = np.random.default_rng(0).integers(0, 256, (256, length + 1)).astype(np.int32)

    def init(key: jax.Array) -> Any:
        params = nnx.to_pure_dict(nnx.state(build(nnx.Rngs(key))))
        return {"params": params, "optimizer": optimizer.init(params)}

    def step(state: Any, records: Any, key: jax.Array) -> Any:
        def loss_of(params: Any) -> jax.Array:
            logits = nnx.merge(graph, params)(records["text"][:, :-1], nnx.Rngs(key))
            return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, records["text"][:, 1:]))

        loss, gradient = jax.value_and_grad(loss_of)(state["params"])
        updates, moments = optimizer.update(gradient, state["optimizer"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "optimizer": moments}, {"loss": loss}

    steps = 12 if tiny else 80
    return pol_jax.Task("transformer", init, step, pol_jax.Arrays({"text": text}), batch, steps, interval=steps)


def measure(tiny: bool) -> Facts:
    """Time steps of a transformer in this process: its jitted step alone, and recorded; taking turns."""
    import jax
    import numpy as np

    import pol_jax

    task, block = _transformer_task(tiny), 2 if tiny else 10
    times: dict[str, list[float]] = {"plain": [], "recorded": []}
    with tempfile.TemporaryDirectory() as folder, pol_jax.Recording(task, Path(folder) / "proof") as recording:
        state, plain = recording.state, jax.jit(task.step, donate_argnums=0)
        own = task.init(jax.random.key(0))
        given = {"text": np.stack([task.source[at]["text"] for at in range(task.batch_size)])}
        inputs = iter(recording)
        for _ in range(task.steps // block):
            begun = time.perf_counter()
            for _ in range(block):
                own, _ = plain(own, given, jax.random.key(1))
            jax.block_until_ready(own)
            times["plain"].append((time.perf_counter() - begun) / block)
            begun = time.perf_counter()
            for _ in range(block):
                state, _ = recording.step(state, next(inputs))
            jax.block_until_ready(state)
            times["recorded"].append((time.perf_counter() - begun) / block)
        every = recording.commitment.schedule.witness_interval
        parameters = sum(leaf.size for leaf in jax.tree.leaves(own["params"]))
    middle = {kind: sorted(found)[len(found) // 2] for kind, found in times.items()}
    return {
        "parameters": parameters,
        "steps between digests": every,
        "plain step": f"{1e3 * middle['plain']:.1f} ms",
        "recorded step": f"{1e3 * middle['recorded']:.1f} ms",
        "ratio": round(middle["recorded"] / middle["plain"], 3),
    }


def measure_digests(tiny: bool) -> Facts:
    """Time digests of a state in this process, by whoever makes them here and by the host."""
    import jax
    import jax.numpy as jnp

    from pol_jax.protocol.trees import LeafSpec
    from pol_jax.training.states import Layout

    count, elements = (2, 2**10) if tiny else (16, 2**24)
    leaves = tuple(jax.random.normal(jax.random.key(at), (elements,), jnp.float32) for at in range(count))
    layout = Layout(tuple(LeafSpec(f"/{at}", "float32", (elements,), (1,), None) for at in range(count)))
    size = 4 * count * elements

    def rate(digest: Callable[[], bytes]) -> str:
        times = list[float]()
        for _ in range(4):  # the first one compiles
            begun = time.perf_counter()
            digest()
            times.append(time.perf_counter() - begun)
        return f"{size / min(times) / 1e9:.2f} GB/s"

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = layout.digest_on_device(leaves)
    host = {
        "state": f"{size / 1e6:.0f} MB",
        "copied to the host, and there": rate(lambda: layout.copy_of(leaves).digest()),
    }
    if found is None:
        return host | {"on the device": "the host digests states here", "why": [str(each.message) for each in told]}
    assert found.digest() == layout.copy_of(leaves).digest()  # noqa: S101
    return host | {"on the device": rate(lambda: (layout.digest_on_device(leaves) or found).digest())}


MEASURES: Final[Mapping[str, Callable[[bool], Facts]]] = {"steps": measure, "digests": measure_digests}


def _machine() -> Facts:
    code = (
        "import json, jax; from pol_jax.program.machine import current_environment as e; import msgspec;"
        "print(json.dumps(msgspec.to_builtins(e())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    found: Facts = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run the parts that there is time for, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("accelerator.json"))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--measure", choices=list(MEASURES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options.tiny)))
        return
    begun, machine = time.monotonic(), _machine()
    found: Facts = {"machine": machine}
    print(f"{machine['device_kind']}, {machine['platform']}, jax {machine['jax']}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), options.data_dir, options.tiny, machine["platform"])
        for name in options.only:
            if time.monotonic() - begun > options.seconds:
                found[name] = {"left out": "no time was left"}
                continue
            try:
                found[name] = PARTS[name](setting)
            except Exception as error:  # noqa: BLE001  # the other parts are to run whatever this one does
                found[name] = {"failed": f"{type(error).__name__}: {error}"[:400]}
            options.out.write_text(json.dumps(found, indent=2))
            print(f"{time.monotonic() - begun:5.0f} s  {name}: {json.dumps(found[name])}", flush=True)


if __name__ == "__main__":
    main()
