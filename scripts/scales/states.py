"""Costs that grow with the state: its digest, its checkpoint, and the check of that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax.protocol.trees import LeafSpec
from pol_jax.storage.checkpoints import load_checkpoint, save_checkpoint
from pol_jax.training.states import Layout
from scales.measured import Measured, processor_seconds

MEGABYTES: Final = (1, 4, 16, 50, 158, 400)
LEAVES: Final = 20


def measure(quick: bool) -> Iterator[Measured]:
    """Measure states of 1 to 400 MB."""
    for megabytes in MEGABYTES[:2] if quick else MEGABYTES:
        size = megabytes * 10**6 // (4 * LEAVES)
        spec = tuple(LeafSpec(f"/w{at}", "float32", (size,), (1,), None) for at in range(LEAVES))
        leaves = [np.random.default_rng(at).normal(size=size).astype(np.float32) for at in range(LEAVES)]
        layout, total = Layout(spec), 4 * size * LEAVES
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            save_checkpoint(root, 0, spec, leaves)  # imports
            yield Measured("digest a state", total, processor_seconds(layout.gather(leaves).digest))
            writing = processor_seconds(partial(save_checkpoint, root, 1, spec, leaves))
            yield Measured("write a checkpoint", total, writing)
            yield Measured("read and check a checkpoint", total, processor_seconds(partial(_check, root, layout)))


def _check(root: Path, layout: Layout) -> bytes:
    return layout.gather(load_checkpoint(root, 1, layout.spec)).digest()
