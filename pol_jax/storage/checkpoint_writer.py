"""The checkpoints of a run are written: the first by Orbax, and those after it in one write, in the same form.

Orbax takes about 20 ms of a processor for a checkpoint, however small, which is as much as many short steps. Nearly all
of that is for what is the same in each checkpoint of a run: names, shapes, dtypes. So that is taken from the first one,
and the arrays are written by tensorstore, as Orbax writes them (docs/protocol.md, appendix B). After a large state
that Orbax wrote, Python looks for reference cycles that hold it, which stops the training loop for a tenth of a second.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jax
import numpy as np

from pol_jax.errors import StorageError
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage.array_files import write_arrays
from pol_jax.storage.array_form import ArrayForm
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.checkpoints import save_checkpoint
from pol_jax.storage.orbax_settings import escaped_names, reason_of

_CHECKPOINT: Final = "_CHECKPOINT_METADATA"
_TREE: Final = "state/_METADATA"
_MARKER: Final = "orbax.checkpoint"


class CheckpointWriter:
    """This writer saves the checkpoints of one run."""

    def __init__(self, root: Path, spec: StateSpec) -> None:
        """Write below ``root`` states of this specification."""
        self._root, self._spec = root, spec
        self._notes: dict[str, bytes] | None = None

    def save(self, step: int, leaves: Sequence[np.ndarray | jax.Array]) -> None:
        """Save a state, and return when the checkpoint is complete under its name; as `save_checkpoint`.

        Raises:
            StorageError: the checkpoint can't be written.
        """
        arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray)]
        # What lies on several devices is left to Orbax, which saves it shard by shard.
        if self._notes is None or len(arrays) < len(leaves):
            save_checkpoint(self._root, step, self._spec, leaves)
            if len(arrays) == len(leaves):
                written = self._root / checkpoint_name(step)
                self._notes = {name: (written / name).read_bytes() for name in (_CHECKPOINT, _TREE)}
            return
        target = self._root.resolve() / checkpoint_name(step)  # tensorstore takes no path with a ".." in it
        try:
            self._write(target, arrays, self._notes)
        except (OSError, ValueError, RuntimeError) as error:
            raise StorageError(f"{target}: checkpoint can't be written: {reason_of(error)}") from error

    def _write(self, target: Path, arrays: Sequence[np.ndarray], notes: dict[str, bytes]) -> None:
        """Write all files under another name, as a killed process may leave them, and then rename the directory."""
        begun = time.time_ns()
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "state").mkdir(parents=True)
        forms = [ArrayForm(leaf.dtype, leaf.shape, leaf.pieces) for leaf in self._spec]
        names = [".".join(parts) for parts in escaped_names(self._spec)]
        named = zip(names, forms, arrays, strict=True)
        write_arrays(unfinished, {name: (form, array) for name, form, array in named if array.size})
        (unfinished / _TREE).write_bytes(notes[_TREE])
        (unfinished / _CHECKPOINT).write_bytes(_dated(notes[_CHECKPOINT], begun))
        (unfinished / _MARKER).touch()
        shutil.rmtree(target, ignore_errors=True)  # an interrupted run may have left it
        unfinished.rename(target)


def _dated(note: bytes, begun: int) -> bytes:
    """Return what Orbax notes of a checkpoint, with the times of this one."""
    return json.dumps(
        json.loads(note) | {"init_timestamp_nsecs": begun, "commit_timestamp_nsecs": time.time_ns()}
    ).encode()
