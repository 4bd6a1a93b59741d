"""Measure how often a random challenge misses a worker who falsifies few steps (`untrusted.miss_rate`).

    python scripts/miss_rate.py [--verifications N] [--draws N] [--states N ...]

A worker of the comparison (digits, 80 steps, at most an eighth of them replayed) has so many false states in its
ledger, each of which makes two steps false. The table has the announced probability that a challenge misses them all;
how many openings were accepted, of those that were verified; and how many of the challenges that were drawn with the
same code asked for none of them: with 95% confidence intervals (Clopper and Pearson).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import jax
import numpy as np
from untrusted.federation import non_iid, params_of, site_of
from untrusted.miss_rate import announced, drawn, falsify, verified
from untrusted.settings import SETTINGS, task_named


def main() -> None:
    """Print a line for each number of false states."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verifications", type=int, default=100, help="for each line; about a second each")
    parser.add_argument("--draws", type=int, default=20_000, help="for each line")
    parser.add_argument("--states", type=int, nargs="+", default=[1, 2, 4, 8], help="that are false")
    options = parser.parse_args()
    setting = SETTINGS["digits"]
    task, records = task_named("digits", setting, None)
    own = non_iid(records, setting, seed=0)[0]
    model = {"params": jax.tree.map(np.asarray, params_of(task.init(jax.random.key(0))))}
    print("| false steps | announced | verified | drawn |\n| --- | --- | --- | --- |")
    for number in options.states:
        states = [setting.interval + 2 + 5 * at for at in range(number)]
        with tempfile.TemporaryDirectory(prefix="pol-miss-") as folder:
            site = site_of(task, own, 0, 0, model, model, setting, Path(folder))
            answer = falsify(site, states)
            expected = announced(site, setting.share, states)
            found = verified(site, answer, setting.share, states, options.verifications)
            chosen = drawn(answer, setting.share, states, options.draws)
        print(f"| {2 * number} | {expected:.3f} | {found} | {chosen} |", flush=True)


if __name__ == "__main__":
    main()
