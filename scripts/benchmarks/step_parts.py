"""What a proof adds to one step of digits, part by part: microseconds of each, called by itself in turns."""

from __future__ import annotations

import itertools
import tempfile
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from benchmarks.table import Line
from pol_jax import Choices, Recording, load_task
from pol_jax.protocol.encoding import row_digest
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.journal import Journal
from pol_jax.training.inputs import step_inputs

INTERVAL = 100
CALLS, REPEATS = 500, 7


def measure(quick: bool, _: Path | None) -> Iterator[Line]:
    """Measure the parts, and a step without a proof to compare them with."""
    with tempfile.TemporaryDirectory() as folder:
        parts = _parts(Path(folder))
        for what, (call, calls) in parts.items():
            times = timeit.repeat(call, number=calls, repeat=2 if quick else REPEATS)
            yield Line(f"a step of digits: {what}", f"{min(times) / calls * 1e6:.0f} us")


def _parts(folder: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """Return what is done for a step, by what it is called, and how often to call it at once."""
    task = load_task("digits")
    recording = Recording(task, folder / "proof", steps=INTERVAL, choices=Choices(interval=INTERVAL))
    program, witness = recording.program, recording.witness
    batches = list(itertools.islice(step_inputs(recording.commitment, task.source, 1, INTERVAL), 50))
    for each in batches:  # remembered, as after the first epoch
        witness.records.check(each.batch, each.indices)
    inputs, state = batches[0], tuple(leaf.copy() for leaf in recording.leaves)

    def step() -> None:
        nonlocal state
        state, _ = program.step(state, inputs.batch, inputs.key)
        jax.block_until_ready(state)

    _, metrics = program.step(tuple(leaf.copy() for leaf in state), inputs.batch, inputs.key)
    packed = witness.layout.pack(tuple(leaf.copy() for leaf in state))
    host = witness.layout.fetch(packed)
    row = witness.row(inputs, metrics[:1], host)
    content, journal = row.encode(), Journal(folder / "journal")
    writer, saved = CheckpointWriter(folder, witness.layout.spec), itertools.count()
    writer.save(next(saved), host.leaves)

    def record() -> None:
        journal.append(row.encode())
        row_digest(content, row.layout.version)

    def checkpoint() -> None:
        writer.save(next(saved), [np.array(leaf) for leaf in host.leaves])

    return {
        "without a proof": (step, 100),
        "the state is copied on the device": (lambda: jax.block_until_ready(witness.layout.pack(state)), CALLS),
        "it is fetched": (lambda: witness.layout.fetch(packed), CALLS),
        "it is digested": (host.digest, CALLS),
        "its row is made": (lambda: witness.row(inputs, metrics[:1], None), CALLS),
        "of which its records are compared": (lambda: witness.records.check(inputs.batch, inputs.indices), CALLS),
        "its row is digested and written to the journal": (record, CALLS),
        f"a checkpoint, every {INTERVAL} steps": (checkpoint, 20),
    }
