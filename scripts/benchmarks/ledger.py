"""A long ledger is opened and one of its steps is found, within bounds of time and memory.

    python -m benchmarks.ledger PROOF STEP

is what `measure` starts, so that the memory of a process is that of finding the step alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.processes import output_of, peak_bytes
from benchmarks.table import Line
from pol_jax import Choices, load_task, open_proof, train
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.rows import Row
from pol_jax.storage.ledger import seal
from pol_jax.training.inputs import plan

INTERVAL = 100


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Make a ledger of many steps and find one of them."""
    steps = 10_000 if quick else 300_000
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "proof")
        train(replace(load_task("digits"), batch_size=128), out, steps=1, choices=Choices(interval=INTERVAL))
        _write_long_ledger(out, steps)
        found = output_of(sys.executable, "-m", "benchmarks.ledger", str(out), str(steps - 77))
        seconds, memory = map(float, found.split())
        size = sum(file.stat().st_size for file in (out / "ledger").iterdir())
    yield Line(f"ledger of {steps:,} steps: finding one", f"{seconds:.2f} s", "2 s", f"{size / 1e6:.0f} MB of files")
    yield Line(f"ledger of {steps:,} steps: peak memory", f"{memory:.0f} MB", "500 MB", "jax and all")


def _write_long_ledger(out: Path, steps: int) -> None:
    """Replace the ledger by one with true keys and indices, and digests of nothing: opening doesn't check them."""
    proof = open_proof(out)
    nothing, digests = batch_digest([]), np.random.default_rng(0).bytes(32 * INTERVAL)
    for segment, start in enumerate(range(0, steps, INTERVAL)):
        rows = [
            Row(step, key.tobytes(), indices, nothing, digests[32 * at : 32 * at + 32], b"\0\0\0\0")
            for at, (step, key, indices) in enumerate(plan(proof.commitment, start + 1, start + INTERVAL + 1))
        ]
        first = [Row(0, b"\0" * 8, rows[0].indices[:0], nothing, nothing, b"")] if segment == 0 else []
        seal(out, segment, first + rows)
    assert proof.claim is not None  # noqa: S101  # the run was finished
    (out / "claim.json").write_bytes(encode(msgspec.structs.replace(proof.claim, steps=steps)))


def _find_step(out: str, step: int) -> None:
    """Open a proof and find a row; print the seconds that this takes, and the peak memory in megabytes."""
    begun = time.perf_counter()
    assert open_proof(out).row(step).step == step  # noqa: S101
    print(time.perf_counter() - begun, peak_bytes() / 1e6)


if __name__ == "__main__":
    _find_step(sys.argv[1], int(sys.argv[2]))
