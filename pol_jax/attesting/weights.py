"""The weights of a model at hand are read from its files into arrays by name; no code of theirs is run.

A file is a safetensors file, an ``.npz`` without pickles, or a directory with safetensors files (a model in shards).
The files are untrusted: what they say of sizes is checked before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import ml_dtypes  # noqa: F401  it teaches numpy the names of bfloat16 and of 8-bit floats
import numpy as np

from pol_jax.attesting.npz_file import read_npz
from pol_jax.attesting.safetensors_file import read_safetensors
from pol_jax.errors import UsageError, printable

Weights = dict[str, np.ndarray]

MAX_SHARDS: Final = 4096

_READERS: Final[dict[str, Callable[[Path], Weights]]] = {".safetensors": read_safetensors, ".npz": read_npz}


def read_weights(path: Path) -> Weights:
    """Return the arrays of a model by name.

    Arrays of safetensors files are views of the file, which must not change meanwhile.

    Raises:
        UsageError: no such file, no format that is known, or a damaged one.
    """
    where = printable(str(path))
    if path.is_dir():
        return _read_shards(path)
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UsageError(f"{where}: expected a model as .safetensors or .npz, or a directory with .safetensors files")
    return reader(path)


def _read_shards(path: Path) -> Weights:
    where = printable(str(path))
    # The index file that hubs put beside shards is not read: each shard says itself which arrays it holds.
    files = sorted(path.glob("*.safetensors"))
    if not 1 <= len(files) <= MAX_SHARDS:
        raise UsageError(f"{where}: has {len(files)} .safetensors files; expected a model in 1 to {MAX_SHARDS} of them")
    found: Weights = {}
    for file in files:
        shard = read_safetensors(file)
        if twice := found.keys() & shard.keys():
            raise UsageError(f"{where}: {printable(min(twice))} is in two files; expected each array once")
        found |= shard
    return found
