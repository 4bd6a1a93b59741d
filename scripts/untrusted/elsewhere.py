"""An honest worker in a process of its own, whose XLA is another one: its bits are others, and it must be accepted.

    python -m untrusted.elsewhere FOLDER [STEP...]

is what the coordinator starts, under the worker's Python and flags: without steps to train what FOLDER asks for, and
with steps to open them. The coordinator judges what comes back as it judges anybody's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np

from pol_jax import Arrays, Source, Task, UpdateResult, open_proof, open_steps, train_update, write_opening
from pol_jax.protocol.opening import Opening, parse_opening
from pol_jax.protocol.trees import PyTree
from untrusted.coordinator import challenge
from untrusted.federation import Setting, non_iid, params_of, site_of
from untrusted.settings import task_named
from untrusted.worker import Answer, Programs

SCRIPTS: Final = Path(__file__).parents[1]

OLD_PROCESSOR: Final = {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"}
"""What makes XLA compile for a processor without vector instructions of the last fifteen years."""

ASKED, MODEL, UPDATE, PROOF, OPENING = "asked.json", "model.npz", "update.npz", "proof", "opening"

Start = Callable[[Path, Iterable[int]], None]
"""Runs the worker's process in a folder, with steps to open, or without any to train."""


@dataclass(frozen=True)
class Elsewhere:
    """What became of an honest worker elsewhere.

    Attributes:
        build: what its process had.
        verdict: on its update.
        reason: of the verdict.
        opened: steps that it opened.
        compared: how many of them have other bits than here, and were compared as numbers.
    """

    build: str
    verdict: str
    reason: str
    opened: int
    compared: int


@dataclass(frozen=True)
class Remote(Answer):
    """The answer of a worker in another process, which opens its steps itself."""

    start: Start | None = None

    def open(self, source: Source, steps: Iterable[int]) -> Opening:
        """Answer a challenge."""
        assert self.start is not None  # noqa: S101  # it has answered before
        folder = self.proof.parent
        self.start(folder, steps)
        return parse_opening((folder / OPENING).read_bytes(), OPENING)


def process_of(python: str, environment: Mapping[str, str]) -> Start:
    """Return what runs the worker's process under a Python, with changes of the environment."""

    def start(folder: Path, steps: Iterable[int]) -> None:
        clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        own = {"PYTHONPATH": f"{SCRIPTS.parent}{os.pathsep}{SCRIPTS}", "JAX_ENABLE_COMPILATION_CACHE": "false"}
        command = [python, "-m", "untrusted.elsewhere", str(folder), *map(str, steps)]
        subprocess.run(command, env=clean | own | dict(environment), check=True)

    return start


def honest_elsewhere(
    name: str, setting: Setting, data_dir: Path | None, folder: Path, build: str, start: Start
) -> Elsewhere:
    """Assign the first worker's part of a comparison to a worker elsewhere, and judge its answer."""
    task, records = task_named(name, setting, data_dir)
    own, model = non_iid(records, setting, seed=0)[0], _model(task)
    site = site_of(task, own, 0, 0, model, model, setting, folder / "unused")
    asked = {"name": name, "setting": asdict(setting), "data_dir": str(data_dir) if data_dir else None}
    (folder / ASKED).write_text(json.dumps(asked))
    _save(folder / MODEL, model)
    opened = list[int]()

    def open_steps_there(folder: Path, steps: Iterable[int]) -> None:
        opened.extend(steps)
        start(folder, opened)

    start(folder, ())
    answer = Remote(_load(folder / UPDATE, model), folder / PROOF, start=open_steps_there)
    result: UpdateResult = challenge(replace(site, programs=Programs()), answer, setting.share).result
    compared = len({each.start for each in result.report.compared if not each.is_initial}) if result.report else 0
    return Elsewhere(build, str(result.verdict), result.reason, len(opened), compared)


def work(folder: Path, steps: Iterable[int]) -> None:
    """Train what the folder asks for, or open steps of it: the worker's side."""
    asked: dict[str, Any] = json.loads((folder / ASKED).read_text())
    setting, data_dir = Setting(**asked["setting"]), Path(asked["data_dir"]) if asked["data_dir"] else None
    task, records = task_named(asked["name"], setting, data_dir)
    own = non_iid(records, setting, seed=0)[0]
    model = _load(folder / MODEL, _model(task))
    site = site_of(task, own, 0, 0, model, model, setting, folder / "unused")
    if opened := list(steps):
        opening = open_steps(open_proof(folder / PROOF), Arrays(dict(own)), opened)
        (folder / OPENING).unlink(missing_ok=True)
        write_opening(folder / OPENING, opening)
        return
    _, update = train_update(site.task, model, site.assignment, folder / PROOF)
    _save(folder / UPDATE, update)


def _model(task: Task) -> PyTree:
    return {"params": jax.tree.map(np.asarray, params_of(task.init(jax.random.key(0))))}


def _save(path: Path, tree: PyTree) -> None:
    """Write the leaves of a tree; both sides know how they are nested."""
    np.savez(path, allow_pickle=False, **{str(at): np.asarray(leaf) for at, leaf in enumerate(jax.tree.leaves(tree))})


def _load(path: Path, like: PyTree) -> PyTree:
    with np.load(path, allow_pickle=False) as arrays:
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[str(at)] for at in range(len(arrays))])


if __name__ == "__main__":
    work(Path(sys.argv[1]), map(int, sys.argv[2:]))
