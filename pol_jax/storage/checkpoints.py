"""Full states are kept as Orbax checkpoints, which plain Orbax can restore (section 10).

A state is saved as nested dicts by the paths of its leaves.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pol_jax.errors import StorageError
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage.checkpoint_names import DIRECTORY, NAME, checkpoint_name
from pol_jax.storage.orbax_settings import check_orbax, escaped_names, few_small_files, reason_of
from pol_jax.storage.stored_leaves import load_leaves
from pol_jax.training.freed_memory import free_cycles


def save_checkpoint(root: Path, step: int, spec: StateSpec, leaves: Sequence[np.ndarray | jax.Array]) -> None:
    """Save a state, and return when the checkpoint is complete under its name.

    Arrays that lie on several devices are saved shard by shard; where devices belong to several processes, each of them
    calls this function and saves its own.

    Raises:
        StorageError: the checkpoint can't be written.
    """
    save_leaves(root, checkpoint_name(step), spec, leaves)


def save_leaves(root: Path, name: str, spec: StateSpec, leaves: Sequence[np.ndarray | jax.Array]) -> None:
    """Save leaves in the directory ``name`` of a proof; otherwise like `save_checkpoint`."""
    tree: dict[str, Any] = {}
    for names, array in zip(escaped_names(spec), leaves, strict=True):
        if array.size:  # Orbax refuses empty arrays; the specification says everything about them
            _put(tree, names, array)
    check_orbax()
    from orbax.checkpoint import v1 as ocp  # takes long to import

    target = root / name
    target.parent.mkdir(exist_ok=True)
    try:
        with few_small_files():
            # An interrupted run may have left a part of it, which is overwritten.
            ocp.save(target.parent.resolve() / target.name, tree, overwrite=True)
        (target / "commit_success.txt").unlink(missing_ok=True)  # it has a path of the prover's machine
        free_cycles(sum(leaf.nbytes for leaf in spec))  # where several processes save, Orbax left arrays in some
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"{target}: checkpoint can't be written: {reason_of(error)}") from error


def load_checkpoint(root: Path, step: int, spec: StateSpec) -> list[np.ndarray]:
    """Return a state as host arrays, one for each leaf of ``spec``; for errors see `open_leaves`."""
    return load_leaves(root, checkpoint_name(step), spec)


def remove_checkpoint(root: Path, step: int) -> None:
    """Remove the checkpoint after ``step``.

    It is renamed first: if the process is killed, the checkpoint is whole, or is no longer named as one.
    """
    target = root / checkpoint_name(step)
    renamed = target.with_suffix(".removed")
    target.rename(renamed)
    shutil.rmtree(renamed)


def remove_unfinished(root: Path) -> None:
    """Remove what an interrupted save or removal left."""
    directory = root / DIRECTORY
    for entry in directory.iterdir() if directory.is_dir() else ():
        if not entry.is_dir():
            entry.unlink()
        elif not NAME.match(entry.name):
            shutil.rmtree(entry)


def _put(tree: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    for name in names[:-1]:
        tree = tree.setdefault(name, {})
    tree[names[-1]] = value
