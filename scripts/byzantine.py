"""Compare aggregation with and without proofs, where 0 to 8 of 10 workers are Byzantine (extra ``flower``).

    python scripts/byzantine.py [--only digits cifar10] [--data-dir D] [--byzantine N...] [--other-python PYTHON]
                                [--out FOLDER] [--quick]

Workers have a few classes of records each. Every Byzantine one behaves in another way, and in the next round again in
another, until all behaviours had their turn. For every number of them, the table has the test accuracy after all
rounds, for plain averaging, Krum, Bulyan and trimmed mean (Flower's own), for averaging what is proven, and for the
honest workers alone; then what the proofs let in and left out, and what it cost the coordinator; and what became of an
honest worker in a process whose XLA has other bits: one that compiles for an old processor, and one that another jax
has (``--other-python``). What is in FOLDER is not computed again, so that a run that was interrupted goes on.
``--quick`` is a small setting that shows the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from untrusted.aggregation import Aggregate, aggregations
from untrusted.behaviours import BYZANTINE, honest
from untrusted.elsewhere import OLD_PROCESSOR, Elsewhere, Start, honest_elsewhere, process_of
from untrusted.federation import Outcome, Setting, average, non_iid, run
from untrusted.settings import QUICK, SETTINGS, task_named
from untrusted.tables import ALONE, PROVEN, Found, costs, elsewhere_table, table, verdicts
from untrusted.worker import Behaviour, Programs

from pol_jax import Task


def main(arguments: list[str] | None = None) -> None:
    """Run all settings, print the tables, and write the numbers and a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="these data alone")
    parser.add_argument("--data-dir", type=Path, help="TFDS data directory with cifar10")
    parser.add_argument("--byzantine", nargs="+", type=int, default=[0, 2, 4, 6, 8], help="how many of the workers")
    parser.add_argument("--other-python", help="a Python with another jax, for an honest worker")
    parser.add_argument("--quick", action="store_true", help="a small setting, on digits")
    parser.add_argument("--out", type=Path, help="folder for the numbers (byzantine.json) and a picture")
    options = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    found, away = dict[str, Found](), dict[str, list[Elsewhere]]()
    builds = builds_at_hand(options.other_python)
    for name in ["digits"] if options.quick else options.only:
        setting = QUICK if options.quick else SETTINGS[name]
        numbers = [0, setting.workers - 2] if options.quick else options.byzantine
        with tempfile.TemporaryDirectory(prefix="pol-byzantine-") as folder:
            cache = options.out or Path(folder)
            found[name] = compare(name, setting, numbers, options.data_dir, cache)
            away[name] = look_elsewhere(name, setting, options.data_dir, cache, builds)
        found[name] = dict(sorted(found[name].items()))
        print(f"{name}\n\n{table(found[name])}\n\n{costs(found[name])}\n\n{verdicts(found[name])}\n")
        print(f"{elsewhere_table(away[name])}\n")
    if options.out:
        write(options.out, found, away)


def compare(name: str, setting: Setting, numbers: Iterable[int], data_dir: Path | None, cache: Path) -> Found:
    """Return the outcome of each way to aggregate, for so many Byzantine workers each."""
    task, records = task_named(name, setting, data_dir)
    parts, programs = non_iid(records, setting, seed=0), Programs()
    found: Found = {}
    for number in numbers:
        ways: Mapping[str, Aggregate | None] = {
            **aggregations(number, setting.workers),
            ALONE: lambda updates, model: average(updates, model),
            PROVEN: None,
        }
        found[number] = {}
        for way, aggregate in ways.items():
            kept = cache / f"{name}-{number}-{way.replace(' ', '-')}.json"
            outcome = _kept(kept, setting) or _run(task, parts, number, setting, way, aggregate, programs)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"setting": asdict(setting), "outcome": asdict(outcome)}, indent=1) + "\n")
            print(f"{name}: {number} of {setting.workers} Byzantine, {way}: {outcome}", file=sys.stderr, flush=True)
            found[number][way] = outcome
    return found


def builds_at_hand(other_python: str | None) -> Mapping[str, Start]:
    """Return what starts a worker under another XLA, by what that is; say which are left out."""
    found = dict[str, Start]()
    if platform.machine() in ("x86_64", "AMD64"):
        found["XLA for SSE4.2"] = process_of(sys.executable, OLD_PROCESSOR)
    else:
        print(f"skipped: XLA for SSE4.2: this is {platform.machine()}", file=sys.stderr)
    if other_python:
        asked = [other_python, "-c", "import jaxlib.version as v; print(v.__version__)"]
        version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        found[f"jaxlib {version}"] = process_of(other_python, {})
    else:
        print("skipped: an honest worker under another jax: needs --other-python", file=sys.stderr)
    return found


def look_elsewhere(
    name: str, setting: Setting, data_dir: Path | None, cache: Path, builds: Mapping[str, Start]
) -> list[Elsewhere]:
    """Return what becomes of an honest worker under each of these."""
    found = list[Elsewhere]()
    for build, start in builds.items():
        kept = cache / f"{name}-elsewhere-{build.replace(' ', '-')}.json"
        before = json.loads(kept.read_text()) if kept.exists() else {}
        if before.get("setting") != asdict(setting):
            with tempfile.TemporaryDirectory(prefix="pol-byzantine-") as folder:
                seen = honest_elsewhere(name, setting, data_dir, Path(folder), build, start)
            before = {"setting": asdict(setting), "outcome": asdict(seen)}
            kept.write_text(json.dumps(before, indent=1) + "\n")
        found.append(Elsewhere(**before["outcome"]))
    return found


def cast(workers: int, byzantine: int, round: int) -> list[tuple[str, Behaviour]]:
    """Return how each worker behaves: Byzantine ones in turn, so that all behaviours are seen in the end."""
    names, first = list(BYZANTINE), round * byzantine
    chosen = [names[(first + at) % len(names)] for at in range(byzantine)]
    return [("honest", honest)] * (workers - byzantine) + [(name, BYZANTINE[name]) for name in chosen]


def _run(
    task: Task,
    parts: list[dict[str, np.ndarray]],
    number: int,
    setting: Setting,
    way: str,
    aggregate: Aggregate | None,
    programs: Programs,
) -> Outcome:
    """Run a federation; "honest alone" is one in which nobody else takes part."""
    play = partial(cast, setting.workers, number)
    if way == ALONE:
        setting = replace(setting, workers=setting.workers - number)
        play = partial(cast, setting.workers, 0)
    with tempfile.TemporaryDirectory(prefix="pol-byzantine-") as folder:
        return run(task, parts, play, setting, aggregate, Path(folder) / "proofs", programs)


def _kept(path: Path, setting: Setting) -> Outcome | None:
    """Return an outcome that was computed before, if the setting is the same."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    return Outcome(**kept["outcome"]) if kept.get("setting") == asdict(setting) else None


def write(folder: Path, found: Mapping[str, Found], away: Mapping[str, Sequence[Elsewhere]]) -> None:
    """Write all numbers, and a picture where matplotlib is installed."""
    plain = {
        name: {str(number): {way: asdict(outcome) for way, outcome in row.items()} for number, row in rows.items()}
        | {"elsewhere": [asdict(each) for each in away.get(name, ())]}
        for name, rows in found.items()
    }
    (folder / "byzantine.json").write_text(json.dumps(plain, indent=1) + "\n")
    try:
        from untrusted.picture import draw
    except ModuleNotFoundError:
        return
    draw(found, folder / "byzantine.png")


if __name__ == "__main__":
    main()
