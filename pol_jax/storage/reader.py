"""A reader parses the files of a proof that need native libraries: its ledger (Parquet) and its states (Orbax).

Whoever wrote the proof chose every byte of these files, and those libraries have bugs. So a proof is given its reader:
one that reads in this process, for what this process wrote itself or for a process that is confined already; or one
that has a confined process read (`pol_jax.sandbox.reader`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np

from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage import ledger


@runtime_checkable
class Reader(Protocol):
    """A reader returns rows and states of a proof as values; what it can't read is a `ProofError`."""

    def segment(self, root: Path, segment: int, expected: range, layout: RowLayout) -> list[Row]:
        """Return the rows of a segment of the ledger, like `pol_jax.storage.ledger.read_segment`."""
        ...

    def last_step(self, root: Path, segment: int) -> int:
        """Return the last step of a segment, like `pol_jax.storage.ledger.last_step`."""
        ...

    def leaves(self, root: Path, where: str, spec: StateSpec) -> list[np.ndarray]:
        """Return the leaves in a directory of the proof, like `pol_jax.storage.stored_leaves.load_leaves`."""
        ...


class DirectReader:
    """This reader reads in this very process."""

    def segment(self, root: Path, segment: int, expected: range, layout: RowLayout) -> list[Row]:
        """Return the rows of a segment of the ledger."""
        return ledger.read_segment(root, segment, expected, layout)

    def last_step(self, root: Path, segment: int) -> int:
        """Return the last step of a segment as its file says."""
        return ledger.last_step(root, segment)

    def leaves(self, root: Path, where: str, spec: StateSpec) -> list[np.ndarray]:
        """Return the leaves in a directory of the proof."""
        from pol_jax.storage.stored_leaves import load_leaves  # it starts jax, which the ledger has no use for

        return load_leaves(root, where, spec)


DIRECT: Final[Reader] = DirectReader()
