"""Weights of unproven origin are read from Orbax checkpoints as other projects write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import jax
import numpy as np

from pol_jax.errors import UsageError
from pol_jax.protocol.trees import PyTree
from pol_jax.storage.orbax_settings import reason_of

_STEP: Final = re.compile(r"(?:\D+_)?(\d{1,18})\Z")
"""A `CheckpointManager` names a step by its number, with a prefix if it was given one."""


def load_weights(path: Path) -> PyTree:
    """Return what an Orbax checkpoint holds, as nested dicts and lists of host arrays.

    ``path`` is a checkpoint, one item of it, or the directory of a `CheckpointManager`, of which the last step is read.
    The checkpoint may have been saved on several devices. Names that are escaped, as in checkpoints of a proof, are
    returned unescaped.

    Raises:
        UsageError: Orbax can't read the checkpoint.
    """
    found = _checkpoint(path.resolve())
    try:
        return _plain(_load(*found))
    except Exception as error:  # Orbax may raise anything for a directory that is not one of its own
        raise UsageError(f"{path}: is no checkpoint that Orbax can read: {reason_of(error)}") from error


def nested_by_name(arrays: dict[str, np.ndarray]) -> PyTree:
    """Return arrays that are named by paths, such as ``params/w`` or ``params.w``, as nested dicts.

    Raises:
        UsageError: an array lies below another one.
    """
    separator = "/" if any("/" in name for name in arrays) else "."
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, last = name.strip(separator).split(separator)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UsageError(f"weights: {name}: lies below another array; names must be those of a tree")
        node[last] = array
    return tree


def _checkpoint(path: Path) -> tuple[Path, str]:
    """Return the directory of the checkpoint that ``path`` means, and the name of its item."""
    # A checkpoint's directory has one directory for each of its items, so that `path` may be one of these.
    if (path.parent / "_CHECKPOINT_METADATA").is_file():
        return path.parent, path.name
    steps = {int(match[1]): entry for entry in _folders(path) if (match := _STEP.match(entry.name))}
    if steps and not _is_checkpoint(path):
        return steps[max(steps)], "AUTO"
    return path, "AUTO"


def _is_checkpoint(path: Path) -> bool:
    """Return whether Orbax has finished a checkpoint here: it writes one of these files."""
    return any((path / name).is_file() for name in ("_CHECKPOINT_METADATA", "_METADATA", "pytree_checkpoint_metadata"))


def _folders(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []


def _load(path: Path, item: str) -> PyTree:
    """Load a checkpoint on one device, whatever devices it was saved on."""
    from orbax.checkpoint import v1 as ocp  # takes long to import

    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    metadata = ocp.metadata(path, checkpointable_name=item).metadata
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one) if hasattr(leaf, "shape") else leaf,
        metadata,
    )
    return ocp.load(path, target, checkpointable_name=item)


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        # A part of a path that is empty is stored as `%` (section 10).
        return {"" if name == "%" else unquote(name): _plain(child) for name, child in tree.items()}
    return [_plain(child) for child in tree] if isinstance(tree, list | tuple) else tree
