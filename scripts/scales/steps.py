"""Costs that grow with the steps: the ledger is written, read, hashed, and held against keys and order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from pol_jax import Choices, load_task, open_proof, train
from pol_jax.protocol import merkle
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Segments
from pol_jax.storage.ledger import read_rows, seal
from pol_jax.training.inputs import plan
from scales.measured import Measured, processor_seconds

STEPS: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
INTERVAL, BATCH = 1000, 8


def measure(quick: bool) -> Iterator[Measured]:
    """Measure ledgers of 100 to a million rows, with true keys and indices, and digests of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        task = replace(load_task("digits"), batch_size=BATCH)
        train(task, Path(folder, "proof"), steps=1, choices=Choices(interval=INTERVAL))
        commitment = open_proof(Path(folder, "proof")).commitment
    schedule = msgspec.structs.replace(commitment.schedule, steps=STEPS[-1])
    commitment = msgspec.structs.replace(commitment, schedule=schedule)
    for steps in STEPS[:2] if quick else STEPS:
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure(commitment, Path(folder), steps)


def _measure(commitment: Commitment, root: Path, steps: int) -> Iterator[Measured]:
    segments, nothing, times = Segments(steps, INTERVAL), batch_digest([]), 3 if steps < 10**5 else 1
    layout = commitment.row_layout

    def rows(start: int, stop: int) -> list[Row]:
        return [
            Row(step, key.tobytes(), indices, nothing, nothing, bytes(4 * len(commitment.program.metrics)), layout)
            for step, key, indices in plan(commitment, start, stop)
        ]

    def write() -> None:
        for segment in range(len(segments)):
            expected = segments.rows(segment)
            first = [replace(rows(1, 2)[0], step=0)] if expected.start == 0 else []
            seal(root, segment, first + rows(max(1, expected.start), expected.stop))

    def read() -> None:
        merkle.root([row.digest() for row in read_rows(root, segments, layout)])

    yield Measured("find keys and batches, write rows", steps, processor_seconds(write, times))
    yield Measured("read rows, hash them to a root", steps, processor_seconds(read, times))
