"""Checkpoints of step T of the base ``plain`` that are not what they must be (docs/protocol.md, section 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from orbax.checkpoint import v1 as ocp

from pol_jax.protocol.trees import LeafSpec, StateSpec
from pol_jax.storage.checkpoints import save_leaves
from pol_jax.storage.proof import open_proof

KeptTree: TypeAlias = Callable[[str, Callable[[Path], object]], dict[str, bytes]]
"""Returns the files of a directory that a tool wrote once, and calls the writer only if it wrote nothing."""

Leaves: TypeAlias = list[np.ndarray]
Change: TypeAlias = Callable[[StateSpec, Leaves], tuple[StateSpec, Leaves]]
STEP: Final = 5


def checkpoints(root: Path, kept: KeptTree) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield a name, and the files of a checkpoint."""
    proof = open_proof(root)
    spec, leaves = proof.commitment.state, proof.host_leaves(STEP)
    for name, change in SAVED.items():
        yield name, kept(name, partial(_save, change, spec, leaves))
    for name, options in WRITTEN.items():
        yield name, kept(name, partial(_write, options, spec, leaves))


def _save(change: Change, spec: StateSpec, leaves: Leaves, folder: Path) -> None:
    """Save another state as a proof has it."""
    save_leaves(folder, "made", *change(spec, list(leaves)))


def _write(options: dict[str, Any], spec: StateSpec, leaves: Leaves, folder: Path) -> None:
    """Save the true state with other options of Orbax than a proof has."""
    target = folder / "made"
    context = ocp.Context()
    for name, value in {"enable_write_sharding_file": False, "array_metadata_store": None, **options}.items():
        setattr(context.array.saving, name, value)
    named = {leaf.path.lstrip("/"): array for leaf, array in zip(spec, leaves, strict=True) if array.size}
    with context:
        ocp.save(target.absolute(), named)
    (target / "commit_success.txt").unlink(missing_ok=True)


def _with_w(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda spec, leaves: (spec, [*leaves[:3], change(leaves[3])])


def _renamed(spec: StateSpec, leaves: Leaves) -> tuple[StateSpec, Leaves]:
    return (*spec[:3], msgspec.structs.replace(spec[3], path="/v")), leaves


def _with_another(spec: StateSpec, leaves: Leaves) -> tuple[StateSpec, Leaves]:
    return (*spec, LeafSpec("/x", "int32", (1,), (1,), None)), [*leaves, np.zeros(1, np.int32)]


SAVED: Final[dict[str, Change]] = {
    "a checkpoint of other weights": _with_w(lambda w: w + 1),
    "a checkpoint whose weights differ in the last bit": _with_w(lambda w: np.nextafter(w, np.float32(9))),
    "a checkpoint of another dtype": _with_w(lambda w: w.astype(np.float16)),
    "a checkpoint of integers with the same bytes": _with_w(lambda w: w.view(np.int32)),
    "a checkpoint of another shape": _with_w(np.transpose),
    "a checkpoint of another number of axes": _with_w(np.ravel),
    "a checkpoint with a leaf less": lambda spec, leaves: (spec[:3], leaves[:3]),
    "a checkpoint with a leaf more": _with_another,
    "a checkpoint with a leaf of another name": _renamed,
}

WRITTEN: Final[dict[str, dict[str, Any]]] = {
    "a checkpoint that is compressed": {"use_compression": True},
    "a checkpoint of Zarr 2": {"use_compression": False, "use_zarr3": False},
    "a checkpoint without OCDBT": {"use_compression": False, "use_ocdbt": False},
}
