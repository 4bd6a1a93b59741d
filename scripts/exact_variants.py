"""Run one exported exact program in many environments, and say whether all give the same bits.

    python scripts/exact_variants.py selftest
    python scripts/exact_variants.py digits --steps 20 --other .venv-3.12/bin/python
    python scripts/exact_variants.py cifar10 --data-dir DIR --batch 32 --steps 3

The program is made once, here. Each environment is a process of its own that has jax, the exported program and its
inputs, and no code of the task. Prints one line for each environment: the digests of the first and of the last state.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from pol_jax.exact import exact
from pol_jax.exact.self_testing import program
from pol_jax.exact.vectors import load_vectors

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "default": {},
    "AVX2": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"},
    "SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
    "fast math": {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"},
    "no optimisation": {"XLA_FLAGS": "--xla_backend_optimization_level=0"},
    "no fusion": {"XLA_FLAGS": "--xla_disable_hlo_passes=fusion"},
    "no algebraic simplification": {"XLA_FLAGS": "--xla_disable_hlo_passes=algsimp"},
    "one core": {"NPROC": "1"},
    "all of them": {
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2 --xla_cpu_enable_fast_math=true --xla_backend_optimization_level=0",
        "NPROC": "1",
    },
}

CHILD = """
import hashlib, os, pickle, sys
if "NPROC" in os.environ and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, jax.export, numpy as np
exported = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
state, inputs = pickle.load(open(sys.argv[2], "rb"))
step, found = jax.jit(exported.call), []
for given in inputs:
    state, _ = step(state, *given)
    found.append(hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(state))).hexdigest()[:16])
print(jax.__version__, found[0], found[-1])
"""


def of_vectors() -> tuple[Any, Any, list[tuple[Any, ...]]]:
    """The program of all vectors as a step, its state, and its inputs."""
    vectors = load_vectors()
    run = program(vectors)
    arrays = [list(vector.inputs) for vector in vectors]
    return lambda state, key: (run(state, key), ()), arrays, [(np.array([7, 9], np.uint32),)]


def of_task(name: str, data_dir: Path | None, batch: int | None, steps: int) -> tuple[Any, Any, list[tuple[Any, ...]]]:
    """A task's exact step over flat leaves, its initial state, and batches and keys."""
    from exact_costs import flat_task

    task = flat_task(name, data_dir, batch)
    state = task.initial()
    structure = jax.tree.structure(state)

    def step(leaves: list[Any], given: Any, key: Any) -> tuple[list[Any], Any]:
        # a process without Flax and Optax knows no classes of theirs
        new, metrics = task.step(jax.tree.unflatten(structure, leaves), given, key)
        return jax.tree.leaves(new), metrics

    return exact(step), jax.tree.leaves(state), [task.inputs(index) for index in range(steps)]


def main() -> int:
    """Export, run everywhere, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="selftest, mlp, or the name of a task")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, help="records in a batch; the task's own by default")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--other", action="append", default=[], help="another interpreter with jax")
    parser.add_argument("--only", help="environments, separated by commas")
    chosen = parser.parse_args()
    if chosen.program == "selftest":
        step, state, inputs = of_vectors()
    else:
        step, state, inputs = of_task(chosen.program, chosen.data_dir, chosen.batch, chosen.steps)
    exported = jax.export.export(jax.jit(step), platforms=["cpu"])(state, *inputs[0])
    names = chosen.only.split(",") if chosen.only else list(ENVIRONMENTS)
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        artifact, given = Path(folder, "program"), Path(folder, "inputs")
        artifact.write_bytes(bytes(exported.serialize()))
        given.write_bytes(pickle.dumps((state, inputs)))
        for interpreter in (sys.executable, *chosen.other):
            for name in names:
                environment = {**os.environ, "JAX_PLATFORMS": "cpu", **ENVIRONMENTS[name]}
                command = [interpreter, "-c", CHILD, str(artifact), str(given)]
                out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
                version, first, last = out.split()[-3:]
                found.add((first, last))
                sys.stdout.write(f"{chosen.program}  jax {version}  {name:28s} {first} {last}\n")
                sys.stdout.flush()
    sys.stdout.write("equal bits\n" if len(found) == 1 else "different bits\n")
    return 0 if len(found) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
