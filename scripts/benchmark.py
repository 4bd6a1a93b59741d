"""Measure what a proof costs, as ratios of runs that are interleaved in one process.

    python scripts/benchmark.py [--quick] [--data-dir DIR] [--only PART ...] [--against REVISION] [--json]

Prints one table, under the machine's name. Absolute times are of this machine; the limits are for 2 cores. A warning
says so if the machine is busy with something else. ``--data-dir`` is the TFDS data directory for CIFAR-10 and
Shakespeare; without it those two are left out, and the table says so. Each part takes less than two minutes on an idle
machine, and is a module of ``scripts/benchmarks``. With ``--against``, the package of another revision is measured in
turns with this one, and the table has the ratios of this one to that: a change that costs shows before it lands.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Final

from benchmarks import (
    jobs,
    large_state,
    ledger,
    long_steps,
    memory,
    pods,
    short_steps,
    start,
    step_parts,
    thinned,
    training,
    verification,
)
from benchmarks.against import compare
from benchmarks.table import HEADER, Part
from machine import description, warn_if_busy

PARTS: Final[dict[str, Part]] = {
    **training.PLANS,
    "short": short_steps.measure,
    "parts": step_parts.measure,
    "large": large_state.measure,
    "long": long_steps.measure,
    "thinned": thinned.measure,
    "ledger": ledger.measure,
    "start": start.measure,
    "verify": verification.measure,
    "jobs": jobs.measure,
    "memory": memory.measure,
    "pods": pods.measure,
}


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, a short ledger; for trying the script")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--against", metavar="REVISION", help="compare with the package of another revision")
    parser.add_argument("--rounds", type=int, default=3, help="of --against")
    parser.add_argument("--json", action="store_true", help="print the lines as JSON, for programs")
    options = parser.parse_args()
    if options.json:
        lines = [line for part in options.only for line in PARTS[part](options.quick, options.data_dir)]
        print(json.dumps([dataclasses.asdict(line) for line in lines]))
        return
    warn_if_busy()
    print(", ".join(f"{name} {value}" for name, value in description().items()))
    print(HEADER)
    if options.against:
        arguments = ["--quick"] * options.quick
        arguments += ["--data-dir", str(options.data_dir)] if options.data_dir else []
        for line in compare(options.against, options.only, arguments, options.rounds):
            print(line, flush=True)
        return
    for part in options.only:
        for line in PARTS[part](options.quick, options.data_dir):
            print(line, flush=True)


if __name__ == "__main__":
    main()
