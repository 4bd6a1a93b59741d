"""Compare aggregation with and without proofs, where 0 to 8 of 10 workers are Byzantine (extra ``flower``).

    python scripts/byzantine.py [--quick] [--out FOLDER]

Workers have two classes of digits each, and the Byzantine ones each another behaviour. For every number of them, the
table has the test accuracy after all rounds, for plain averaging, Krum, Bulyan and trimmed mean (Flower's own), and for
averaging what is proven; beside it, how many Byzantine updates were aggregated and how many honest ones were left out.
``--quick`` is a small setting that shows the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from untrusted.aggregation import aggregations
from untrusted.behaviours import BYZANTINE, Behaviour, honest
from untrusted.federation import Outcome, Setting, non_iid, run

from pol_jax import load_task

FULL = Setting(workers=10, rounds=5, steps=30, batch_size=32, interval=10, classes=2)
QUICK = Setting(workers=4, rounds=1, steps=10, batch_size=32, interval=5, classes=5)
PROVEN = "proven average"


def main() -> None:
    """Run all settings, print the table, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small setting")
    parser.add_argument("--out", type=Path, help="folder for byzantine.json")
    options = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    setting = QUICK if options.quick else FULL
    numbers = [0, setting.workers - 2] if options.quick else [0, 2, 4, 6, 8]
    found = {number: compare(setting, number) for number in numbers}
    print(table(found))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        plain = {number: {name: asdict(outcome) for name, outcome in row.items()} for number, row in found.items()}
        (options.out / "byzantine.json").write_text(json.dumps(plain, indent=2) + "\n")


def compare(setting: Setting, byzantine: int) -> dict[str, Outcome]:
    """Return the outcome of each way to aggregate, if so many of the workers are Byzantine."""
    task = load_task("digits", steps=setting.steps)
    records = {name: np.asarray(leaf) for name, leaf in task.source.take(np.arange(len(task.source))).items()}  # type: ignore[attr-defined]
    parts = non_iid(records, setting, seed=0)
    behaviours: list[Behaviour] = [*([honest] * (setting.workers - byzantine)), *list(BYZANTINE.values())[:byzantine]]
    found = {}
    for name, aggregate in {**aggregations(byzantine, setting.workers), PROVEN: None}.items():
        with tempfile.TemporaryDirectory(prefix="pol-byzantine-") as folder:
            found[name] = run(task, parts, behaviours, setting, aggregate, Path(folder) / "proofs")
        print(f"{byzantine} of {setting.workers} Byzantine, {name}: {found[name]}", file=sys.stderr)
    return found


def table(found: dict[int, dict[str, Outcome]]) -> str:
    """Return accuracies as a table, and what the proofs let in and left out."""
    names = list(next(iter(found.values())))
    lines = ["Byzantine  " + "".join(f"{name:>16}" for name in names) + "   aggregated of them   honest left out"]
    for number, row in found.items():
        accuracies = "".join(f"{row[name].accuracy:16.3f}" for name in names)
        proven = row[PROVEN]
        lines.append(f"{number:9}  {accuracies}{proven.false_accepted:21}{proven.false_rejected:19}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
