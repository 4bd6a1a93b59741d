"""Measure what a proof costs, as ratios of runs that are interleaved in one process.

    python scripts/benchmark.py [--quick] [--data-dir DIR] [--only PART ...]

Prints one table, under the machine's name. Absolute times are of this machine; the limits are for 2 cores. A warning
says so if the machine is busy with something else. ``--data-dir`` is the TFDS data directory for CIFAR-10 and
Shakespeare; without it those two are left out, and the table says so. Each part is a module of ``scripts/benchmarks``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from benchmarks import jobs, ledger, memory, start, thinned, training, verification
from benchmarks.table import HEADER, Part
from machine import description, warn_if_busy

PARTS: Final[dict[str, Part]] = {
    **training.PLANS,
    "thinned": thinned.measure,
    "ledger": ledger.measure,
    "start": start.measure,
    "verify": verification.measure,
    "jobs": jobs.measure,
    "memory": memory.measure,
}


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, a short ledger; for trying the script")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    warn_if_busy()
    print(", ".join(f"{name} {value}" for name, value in description().items()))
    print(HEADER)
    for part in options.only:
        for line in PARTS[part](options.quick, options.data_dir):
            print(line, flush=True)


if __name__ == "__main__":
    main()
