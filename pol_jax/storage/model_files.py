"""A model at hand is read into arrays by name: safetensors files, an ``.npz``, or what Orbax saved.

The files are untrusted, like those of a proof: a verification reads them in its confined process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pol_jax.attesting.weights import Weights, read_weights
from pol_jax.errors import UsageError, printable
from pol_jax.storage.foreign_weights import load_weights


def read_model(path: Path) -> Weights:
    """Return the arrays of a model by name; those of a checkpoint have paths as names, such as ``/params/w``.

    Args:
        path: a safetensors file, a directory of them, an ``.npz``, an Orbax checkpoint or one item of it, or the
            directory of a `CheckpointManager`, of which the last step is read.

    Raises:
        UsageError: no such file, no format that is known, or a damaged one.
    """
    if not path.exists():
        raise UsageError(f"{printable(str(path))}: no such file; expected a model")
    # Orbax's checkpoints are always directories, and have no file of this name.
    if path.is_file() or any(path.glob("*.safetensors")):
        return read_weights(path)
    found: Weights = {}
    _add("", load_weights(path), found)
    if not found:
        raise UsageError(f"{printable(str(path))}: holds no arrays; expected a model")
    return found


def _add(path: str, tree: Any, found: Weights) -> None:
    if isinstance(tree, dict | list | tuple):
        entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for name, child in entries:
            _add(f"{path}/{name}", child, found)
    elif hasattr(tree, "shape"):
        found[path or "/"] = np.asarray(tree)
