"""This script runs in a backend's own process: it executes the steps that it is given, and writes the resulting states.

    python worker.py WORK OUT SETTINGS

It imports jax and numpy, and nothing of this package, so that another interpreter with another jax runs it as it is.
``WORK`` is what `pol_jax.backends.workload` writes. ``OUT`` is a directory for ``info.json``, and for
``states.npz`` if the steps were executed. ``SETTINGS`` is JSON: ``platform``, ``matmul_precision``, ``threads``. What
XLA reads from the environment is set by whoever starts the process.

It judges nothing, and measures nothing but time.
"""

from __future__ import annotations

import json
import os
import platform as python_platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import jaxlib.version
import numpy as np
from jax.extend.mlir import ir

_PRECISIONS = {"default": "DEFAULT", "high": "HIGH", "highest": "HIGHEST"}


class _Refused(Exception):
    """A backend that can't execute the steps is refused, with what is said instead of a result."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def main(work: Path, out: Path, settings: dict[str, Any]) -> None:
    """Execute ``work`` and write to ``out``."""
    # Before jax starts its threads, which it does when a device is first asked for.
    if settings["threads"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings["threads"]])
    try:
        info = {"status": "ran", "reason": "", **_run(work, out, settings)}
    except _Refused as refused:
        info = {"status": refused.status, "reason": str(refused)}
    (out / "info.json").write_text(json.dumps(info))


def _run(work: Path, out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    with np.load(work) as stored:
        given = dict(stored)
    plan = json.loads(given["plan"].tobytes())
    runner = _Steps(given, plan)
    _find_devices(settings["platform"], runner)
    try:
        found, seconds = _execute(runner, plan, settings)
    except (RuntimeError, ValueError, MemoryError, NotImplementedError) as error:
        raise _Refused("refused", f"can't compile or run the program: {_line(error)}") from error
    np.savez(out / "states.npz", **found)
    return {"environment": _environment(), **seconds}


def _find_devices(platform: str, steps: _Steps) -> None:
    """Make sure that the platform is there; if it is not, say whether the program could be lowered for it at least."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # jax asserts that there is any platform
        why = _line(error).split(" (set ")[0] if str(error) else "this jax has no such platform, or finds no device"
        # Lowering needs no device of the platform, but jax needs some device to start at all.
        jax.config.update("jax_platforms", "cpu")
        try:
            steps.lower(platform)
            lowered = "the program can be lowered for it"
        except (RuntimeError, ValueError, NotImplementedError) as refusal:
            lowered = f"nor can the program be lowered for it: {_line(refusal)}"
        raise _Refused("missing", f"{why}; {lowered}") from error


class _Steps:
    """The exported step is held with the states and inputs that it is executed on, and compiled in several ways."""

    def __init__(self, given: dict[str, Any], plan: dict[str, Any]) -> None:
        self._given, self._plan = given, plan
        self._state, self._batch = (
            [(np.dtype(dtype), tuple(shape)) for dtype, shape in plan[name]] for name in ("state", "batch")
        )
        exported = jax.export.deserialize(bytearray(given["program"].tobytes()))
        # As a prover and a verifier call it: the bits depend on how much is compiled together (protocol.md, section 9).
        self._jitted = jax.jit(exported.call, donate_argnums=0)

    def lower(self, platform: str | None = None) -> Any:
        """Return the program, lowered for a platform; None for this process's."""
        leaves, batch = (
            tuple(jax.ShapeDtypeStruct(shape, dtype) for dtype, shape in specs) for specs in (self._state, self._batch)
        )
        key = jax.ShapeDtypeStruct((self._plan["key_words"],), np.uint32)
        traced = self._jitted.trace(leaves, batch, key)
        return traced.lower() if platform is None else traced.lower(lowering_platforms=(platform,))

    def compile(self, precision: str | None = None, options: dict[str, Any] | None = None) -> Callable[..., Any]:
        """Return the program, compiled; its leaves are donated."""
        lowered = self.lower()
        if precision is not None:
            _set_precision(lowered.compiler_ir("stablehlo"), _PRECISIONS[precision])
        compiled: Callable[..., Any] = lowered.compile(compiler_options=options)
        return compiled

    def committed(self, step: int) -> np.ndarray:
        """Return the bytes of the committed state after ``step``."""
        state: np.ndarray = self._given[f"state/{step}"]
        return state

    def is_committed(self, step: int, state: np.ndarray, losses: np.ndarray) -> bool:
        """Return whether the results of a span that ends with ``step`` have the prover's bits, its losses included."""
        return np.array_equal(state, self.committed(step)) and np.array_equal(losses, self._given[f"loss/{step}"])

    def start(self, step: int) -> tuple[Any, ...]:
        """Return the committed state after ``step``, on the device."""
        return tuple(jnp.array(leaf) for leaf in _arrays(self.committed(step), self._state))

    def perturbed(self, step: int, seed: int, sign: int) -> tuple[Any, ...]:
        """Return the committed state after ``step``, off by last places, on the device."""
        leaves = _arrays(self.committed(step), self._state)
        return tuple(jnp.array(leaf) for leaf in perturb(leaves, self._plan["perturbed_places"], seed, sign))

    def advance(
        self, compiled: Callable[..., Any], leaves: tuple[Any, ...], step: int, times: list[float]
    ) -> tuple[tuple[Any, ...], Any]:
        """Execute one step: return the new leaves and the loss, and append how long it took."""
        batch = tuple(_arrays(self._given[f"batch/{step}"], self._batch))
        begun = time.perf_counter()
        leaves, metrics = jax.block_until_ready(compiled(leaves, batch, self._given[f"key/{step}"]))
        times.append(time.perf_counter() - begun)
        return leaves, metrics[self._plan["loss"]]

    def span(
        self, compiled: Callable[..., Any], span: Sequence[int], times: list[float], leaves: Any = None
    ) -> tuple[tuple[Any, ...], list[Any]]:
        """Execute the steps of a span, from ``leaves`` or else from the committed state; return leaves and losses."""
        leaves, losses = self.start(span[0]) if leaves is None else leaves, []
        for step in range(span[0] + 1, span[1] + 1):
            leaves, loss = self.advance(compiled, leaves, step, times)
            losses.append(loss)
        return leaves, losses


def _execute(steps: _Steps, plan: dict[str, Any], settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Execute everything that was asked for: return arrays by name, and what is to be said of it."""
    begun = time.perf_counter()
    compiled = steps.compile(settings["matmul_precision"])
    compile_seconds = time.perf_counter() - begun
    found, times, repeats, differing = dict[str, Any](), list[float](), True, []
    for span in plan["spans"]:
        state, losses = (_kept(each) for each in steps.span(compiled, span, times))
        # A backend that gives other bits the second time can't be told from one that differs from the prover's.
        again, _ = steps.span(compiled, span, times)
        repeats = repeats and np.array_equal(state, _kept(again))
        found[f"step/{span[1]}"], found[f"loss/{span[1]}"] = state, losses
        if not steps.is_committed(span[1], state, losses):
            differing.append(span)
    for segment in plan["segments"]:
        leaves = None
        for span in segment:
            leaves, losses = steps.span(compiled, span, times, leaves)
            found[f"segment/{segment[0][0]}/{span[1]}"] = _kept(leaves)
            found[f"segment loss/{segment[0][0]}/{span[1]}"] = _kept(losses)
    # Variants and perturbations calibrate a tolerance, which nobody needs where all bits are equal.
    for name, options in plan["variants"].get(jax.default_backend(), {}).items() if differing else ():
        with suppress(RuntimeError, ValueError, NotImplementedError):  # an option that this compiler refuses
            other = steps.compile(settings["matmul_precision"], options)
            for span in differing:
                state, losses = (_kept(each) for each in steps.span(other, span, []))
                found[f"variant/{name}/step/{span[1]}"], found[f"variant/{name}/loss/{span[1]}"] = state, losses
    for seed, sign in plan["perturbations"] if differing else ():
        for span in differing:
            start = steps.perturbed(span[0], seed, sign)
            state, losses = (_kept(each) for each in steps.span(compiled, span, [], start))
            place = f"perturbed/{seed},{sign}"
            found[f"{place}/step/{span[1]}"], found[f"{place}/loss/{span[1]}"] = state, losses
    seconds = {"compile_seconds": compile_seconds, "step_seconds": statistics.median(times), "repeats": repeats}
    return found, seconds


def perturb(leaves: Sequence[np.ndarray], places: int, seed: int, sign: int) -> list[np.ndarray]:
    """Return leaves that are off by last places. Law: `pol_jax.verifying.perturbation` has the same, bit for bit."""
    draw, found = np.random.Generator(np.random.PCG64(seed)), list[np.ndarray]()
    for leaf in leaves:
        fine = leaf.dtype in (np.float32, np.float64)
        units = sign * np.where(draw.random(leaf.shape) < 0.5, places, -places) if fine else np.zeros(())
        found.append(np.asarray(leaf + units.astype(leaf.dtype) * np.finfo(leaf.dtype).eps * leaf) if fine else leaf)
    return found


def _set_precision(module: Any, precision: str) -> None:
    """Write the precision into every product whose precision the program leaves open.

    It is decided when a program is traced, so that jax's ``jax_default_matmul_precision`` says nothing to an exported
    one. This does to it what that setting would have done.
    """

    def visit(operation: Any) -> Any:
        product = operation.operation.name in ("stablehlo.dot_general", "stablehlo.convolution")
        if product and "precision_config" not in operation.attributes:
            with operation.operation.context:
                text = f"#stablehlo<precision {precision}>"
                operation.attributes["precision_config"] = ir.Attribute.parse(f"[{text}, {text}]")
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)


def _environment() -> dict[str, Any]:
    device = jax.devices()[0]
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "platform": device.platform,
        "platform_version": device.client.platform_version,
        "device_kind": device.device_kind,
        "device_count": jax.device_count(),
        "cpu_count": cpus,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "python": python_platform.python_version(),
    }


def _arrays(content: Any, specs: Sequence[tuple[Any, tuple[int, ...]]]) -> list[Any]:
    """Return arrays whose bytes lie one after the other."""
    arrays, at = [], 0
    for dtype, shape in specs:
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        arrays.append(content[at : at + size].copy().view(dtype).reshape(shape))
        at += size
    return arrays


def _kept(leaves: Any) -> Any:
    """Return the bytes of all leaves, on the host."""
    flat = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves]
    return np.concatenate(flat) if flat else np.empty(0, np.uint8)


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
