"""Run steps in another process: other flags, another instruction set, another jax.

    python scripts/figures/elsewhere.py FOLDER

is what `run_elsewhere` starts. The folder has the exported programs, a state and the inputs of steps; the resulting
states and the time of a step are written there too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]


def run_elsewhere(
    python: str,
    environment: Mapping[str, str],
    files: Mapping[str, bytes],
    arrays: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return what a process found: ``after.LENGTH.LEAF``, ``seconds`` of a step if timed, ``jaxlib``'s version."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        np.savez(Path(folder, "given.npz"), allow_pickle=False, **dict(arrays))
        clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        own = {"PYTHONPATH": str(ROOT), "JAX_ENABLE_COMPILATION_CACHE": "false"}
        subprocess.run([python, __file__, folder], env=clean | own | dict(environment), check=True)
        with np.load(Path(folder, "found.npz"), allow_pickle=False) as found:
            return dict(found)


def _work(folder: Path) -> None:
    """Run the steps that the folder describes, in a process that may have another jax."""
    if "ONE_CORE" in os.environ:  # before jax starts its threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jaxlib.version

    from pol_jax.program.artifact import Artifacts, load_program
    from pol_jax.program.signature import Signature
    from pol_jax.protocol.commitment import Commitment
    from pol_jax.training.inputs import StepInput
    from pol_jax.verifying.compilations import DEFAULT, compile_step

    commitment = Commitment.parse((folder / "commitment").read_bytes())
    artifacts = Artifacts((folder / "init").read_bytes(), (folder / "step").read_bytes())
    made = compile_step(load_program(artifacts, Signature.from_commitment(commitment)), DEFAULT)
    with np.load(folder / "given.npz", allow_pickle=False) as given:
        state = [given[f"before.{at}"] for at in range(len(commitment.state))]
        leaves = range(len(commitment.data.record))
        batches = [[given[f"batch.{at}"][step] for at in leaves] for step in range(len(given["key"]))]
        inputs = [
            StepInput(step + 1, key, np.empty(0, np.uint64), tuple(batch))
            for step, (key, batch) in enumerate(zip(given["key"], batches, strict=True))
        ]
        lengths, rounds = [int(each) for each in given["lengths"]], int(given["rounds"])
    found, done = {"jaxlib": np.array(jaxlib.version.__version__)}, 0
    for length in lengths:
        state = made.run(state, inputs[done:length])
        found |= {f"after.{length}.{at}": leaf for at, leaf in enumerate(state)}
        done = length
    if rounds:
        found["seconds"] = np.array(min(_seconds(made, state, inputs) for _ in range(rounds)) / len(inputs))
    np.savez(folder / "found.npz", allow_pickle=False, **found)


def _seconds(made: Any, state: Any, inputs: Any) -> float:
    begun = time.perf_counter()
    made.run(state, inputs)
    return time.perf_counter() - begun


def given_arrays(
    before: Sequence[np.ndarray],
    keys: Sequence[np.ndarray],
    batches: Sequence[Sequence[np.ndarray]],
    lengths: list[int],
    rounds: int,
) -> dict[str, np.ndarray]:
    """Return a state, the inputs of steps, and how often to time them, in the form that `run_elsewhere` takes."""
    return {
        **{f"before.{at}": leaf for at, leaf in enumerate(before)},
        **{f"batch.{at}": np.stack(leaf) for at, leaf in enumerate(zip(*batches, strict=True))},
        "key": np.stack(keys),
        "lengths": np.array(lengths),
        "rounds": np.array(rounds),
    }


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
