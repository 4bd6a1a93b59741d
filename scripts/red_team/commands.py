"""Each attack once by the command line, as a user types it: `pol train`, `pol attack --all`, `pol verify --all`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pol_jax.attacks.catalogue import ATTACKS

TASKS: Final = ("attacked:sgd", "attacked:adam", "attacked:mixed", "attacked:phases")
"""The victims. A proof of the last one is left without a key, so that it can be stolen."""

SCRIPTS: Final = Path(__file__).parents[1]


def try_commands(folder: Path, steps: int, known: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Train, forge by every attack and verify with the true task; yield attack, and verdict with stage and task.

    Those that are ``known`` are not verified again.
    """
    done = set(known)
    _pol(folder, "keygen", "key")
    for task in TASKS:
        key = [] if task == TASKS[-1] else ["--key", "key"]
        name = task.split(":")[1]
        _pol(folder, "train", task, "--out", name, "--steps", str(steps), *key)
        _pol(folder, "attack", "--all", name, "--task", task, "--out", f"{name}-forged")
        for attack in ATTACKS:
            forged = folder / f"{name}-forged" / attack.name
            if attack.name not in done and forged.is_dir():
                done.add(attack.name)
                yield attack.name, _verify(folder, forged, task)


def _verify(folder: Path, forged: Path, task: str) -> str:
    parent = forged.with_name(f"{forged.name}.parent")
    given = ["--parent", str(parent)] if parent.is_dir() and not forged.name.endswith("without-parent") else []
    found = _pol(folder, "verify", str(forged), "--task", task, "--all", "--json", "report.json", *given, check=False)
    report = json.loads((folder / "report.json").read_text())
    stage = next((each["number"] for each in report["stages"] if each["outcome"] != "passed"), 0)
    at = f" ({stage})" if stage and report["verdict"] != "accepted" else ""
    return f"{report['verdict']}{at}, exit {found}, {task}"


def _pol(folder: Path, *words: str, check: bool = True) -> int:
    paths = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "pol_jax", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        check=check,
    )
    return done.returncode
