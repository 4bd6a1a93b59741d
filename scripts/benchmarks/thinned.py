"""A proof that keeps few of its checkpoints is compared, by its bytes, with one that keeps all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Line
from pol_jax import Choices, load_task, train

INTERVAL, KEPT_EVERY = 20, 10


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Train digits twice, and compare the proofs."""
    steps = 400 if quick else 2000
    thinned, whole = (_proof_bytes(steps, keep_every) for keep_every in (KEPT_EVERY, 1))
    note = f"{thinned / steps:.0f} and {whole / steps:.0f} bytes a step; {steps} steps, interval {INTERVAL}"
    yield Line(f"digits: proof bytes, 1 checkpoint of {KEPT_EVERY} / all", f"{thinned / whole:.3f}", "", note)


def _proof_bytes(steps: int, keep_every: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "proof")
        train(load_task("digits"), out, steps=steps, keep_every=keep_every, choices=Choices(interval=INTERVAL))
        return sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
