"""Measure and draw, for pol_jax, the figures of "Proof-of-Learning: Definitions and Practice".

    python scripts/paper_figures.py NAME... [--quick] [--data-dir DIR] [--other-python PYTHON] [--out docs/figures]
    python scripts/paper_figures.py --redraw          # from the JSON that is kept beside the images, measures nothing

The paper is by Jia et al., IEEE S&P 2021. Each name gives DIR/NAME.json and DIR/NAME.png (which needs matplotlib: ``pip
install '.[plots]'``); without a name, all figures are made. A figure that has its JSON is not measured again: delete
that to do so. ``--data-dir`` is the TFDS data directory for CIFAR-10 and Shakespeare, which are left out without it;
``--other-python`` is a Python with another jax. docs/figures.md says what each figure shows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from figures import builds, costs, errors, signs
from figures.drawing import Look, draw
from figures.errors import Setup
from figures.points import Measured, Point
from machine import description, warn_if_busy

from pol_jax import PolError

OUT = Path(__file__).parents[1] / "docs" / "figures"


@dataclass(frozen=True)
class Figure:
    """A figure is measured by a function, and has a look."""

    measure: Callable[[Setup], Iterator[Point]]
    look: Look


FIGURES = {
    "interval": Figure(
        errors.interval,
        Look(
            "Reproduction error against the checkpointing interval, other compilations of one XLA",
            "k, steps",
            reference=True,
        ),
    ),
    "learning_rate": Figure(
        errors.learning_rate,
        Look("Reproduction error after 10 steps against the learning rate", "learning rate", reference=True),
    ),
    "batch_size": Figure(
        errors.batch_size,
        Look("Reproduction error after 10 steps against the batch size", "records a step", reference=True),
    ),
    "optimizer": Figure(errors.optimizer, Look("Reproduction error by optimizer", "", axis="names")),
    "architecture": Figure(errors.architecture, Look("Reproduction error by architecture", "", axis="names")),
    "precision": Figure(
        errors.precision,
        Look("Replay on the same build between stored states, by their precision", "k, steps", reference=True),
    ),
    "batch_norm": Figure(
        errors.batch_norm,
        Look("Error of steps of ResNet-20, by the variance of batch norm", "step", axis="numbers"),
    ),
    "activation": Figure(
        errors.activation, Look("Error of steps of ResNet-20, by the activation", "step", axis="numbers")
    ),
    "signs": Figure(
        signs.signs,
        Look(
            "Error of ResNet-20's gradient between compilations, and what is left of it if no sign may differ",
            "step",
            "error / gradient (l2)",
            axis="numbers",
        ),
    ),
    "builds": Figure(builds.builds, Look("Reproduction error by build", "", axis="names")),
    "speed": Figure(
        builds.speed,
        Look("Milliseconds of a step by build, the fastest of ten runs", "", "milliseconds", axis="names"),
    ),
    "d_ref": Figure(
        costs.reference_distance,
        Look(
            "Distance between two honest trainings, and the reproduction error beside it",
            "",
            "l2 distance",
            axis="names",
        ),
    ),
    "cost": Figure(
        costs.cost,
        Look(
            "What a proof of digits takes, and its verification by the Q largest updates an epoch",
            "",
            xs={"bytes a step": "k, steps", "share of steps replayed": "Q"},
            ys={"bytes a step": "bytes", "share of steps replayed": "share"},
            linear=frozenset({"share of steps replayed"}),
        ),
    ),
}


def main() -> None:
    """Measure what is missing and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}; all if left out")
    parser.add_argument("--quick", action="store_true", help="a few steps of digits; for trying the script")
    parser.add_argument("--data-dir", type=Path, help="TFDS data directory")
    parser.add_argument("--other-python", help="a Python with another jax")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--redraw", action="store_true", help="measure nothing")
    options = parser.parse_args()
    for unknown in set(options.names) - set(FIGURES):
        parser.error(f"figure {unknown!r}: expected one of {', '.join(FIGURES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or FIGURES:
        setup = Setup(options.quick, options.data_dir, options.other_python)
        kept = options.out / f"{name}.json"
        if kept.exists():
            print(f"{name}: as measured before ({kept})")
            for line in Measured.read(kept).left_out:
                print(f"left out then: {line}")
        elif options.redraw:
            print(f"{name}: skipped, not measured yet")
            continue
        else:
            _measure(name, setup, kept)
        _draw(name, kept)


def _measure(name: str, setup: Setup, kept: Path) -> None:
    """Measure a figure and keep its points; end the script where that is not possible."""
    warn_if_busy()
    print(f"{name}:", flush=True)
    begun = time.perf_counter()
    try:
        points = list(FIGURES[name].measure(setup))
    except PolError as error:
        sys.exit(f"{name}: {error}")
    seconds = round(time.perf_counter() - begun, 1)
    Measured(name, setup.quick, description(), setup.settings, setup.left_out, seconds, points).write(kept)
    print(f"{name}: {len(points)} points in {seconds:.0f} s")


def _draw(name: str, kept: Path) -> None:
    measured = Measured.read(kept)
    if not measured.points:
        print(f"{name}: nothing to draw")
    elif find_spec("matplotlib") is None:
        print(f"{name}: not drawn, needs matplotlib: pip install '.[plots]'")
    else:
        draw(measured, FIGURES[name].look, kept.with_suffix(".png"))


if __name__ == "__main__":
    main()
