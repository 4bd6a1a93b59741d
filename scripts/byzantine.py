"""Compare aggregation with and without proofs, where 0 to 8 of 10 workers are Byzantine (extra ``flower``).

    python scripts/byzantine.py [--only digits cifar10] [--data-dir D] [--out FOLDER] [--quick]

Workers have four classes of records each. Every Byzantine one behaves in another way, and in the next round again in
another, until all behaviours had their turn. For every number of them, the table has the test accuracy after all
rounds, for plain averaging, Krum, Bulyan and trimmed mean (Flower's own), for averaging what is proven, and for the
honest workers alone; then what the proofs let in and left out, and what it cost the coordinator. What is in FOLDER is
not computed again, so that a run that was interrupted goes on. ``--quick`` is a small setting that shows the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from untrusted.aggregation import Aggregate, aggregations
from untrusted.behaviours import BYZANTINE, honest
from untrusted.federation import Outcome, Setting, average, non_iid, run
from untrusted.settings import QUICK, SETTINGS, task_named
from untrusted.tables import ALONE, PROVEN, Found, costs, table, verdicts
from untrusted.worker import Behaviour, Programs

from pol_jax import Task


def main(arguments: list[str] | None = None) -> None:
    """Run all settings, print the tables, and write the numbers and a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), help="these data alone")
    parser.add_argument("--data-dir", type=Path, help="TFDS data directory with cifar10")
    parser.add_argument("--byzantine", nargs="+", type=int, default=[0, 2, 4, 6, 8], help="how many of the workers")
    parser.add_argument("--quick", action="store_true", help="a small setting, on digits")
    parser.add_argument("--out", type=Path, help="folder for the numbers (byzantine.json) and a picture")
    options = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    found: dict[str, Found] = {}
    for name in ["digits"] if options.quick else options.only:
        setting = QUICK if options.quick else SETTINGS[name]
        numbers = [0, setting.workers - 2] if options.quick else options.byzantine
        with tempfile.TemporaryDirectory(prefix="pol-byzantine-") as folder:
            found[name] = compare(name, setting, numbers, options.data_dir, options.out or Path(folder))
        found[name] = dict(sorted(found[name].items()))
        print(f"{name}\n\n{table(found[name])}\n\n{costs(found[name])}\n\n{verdicts(found[name])}\n")
    if options.out:
        write(options.out, found)


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


def write(folder: Path, found: Mapping[str, Found]) -> None:
    """Write all numbers, and a picture where matplotlib is installed."""
    plain = {
        name: {number: {way: asdict(outcome) for way, outcome in row.items()} for number, row in rows.items()}
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
