"""A mesh is the grid of devices over which the arrays of a run were cut (docs/protocol.md, section 2.1).

It decides bits: a sum over a cut axis is a sum over devices. The programs are the same with a mesh and without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from pol_jax.errors import printable
from pol_jax.protocol.trees import LeafSpec, StateSpec

AxisName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Cut = tuple[AxisName, ...]
"""A cut names the axes of the mesh that together cut one axis of an array; it is empty where that is whole."""

_MAX_AXES: Final = 16
_MAX_DEVICES: Final = 2**20


class MeshAxis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An axis of a mesh has a name, and a number of devices along it."""

    name: AxisName
    size: Annotated[int, msgspec.Meta(ge=1, le=_MAX_DEVICES)]


class Mesh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mesh says how the state and the batch were cut.

    Attributes:
        axes: the axes, in order; at least one.
        state: for each leaf of the state, in order: for each of its axes, what cuts it.
        batch: what cuts the first axis of every array of the batch.
    """

    axes: tuple[MeshAxis, ...]
    state: tuple[tuple[Cut, ...], ...]
    batch: Cut

    @property
    def sizes(self) -> dict[str, int]:
        """Return the number of devices along each axis, by name."""
        return {axis.name: axis.size for axis in self.axes}

    @property
    def device_count(self) -> int:
        """Return the number of devices."""
        return math.prod(self.sizes.values())

    def parts(self, cuts: Sequence[Cut]) -> tuple[int, ...]:
        """Return into how many equal parts each axis of an array is cut."""
        return tuple(math.prod(self.sizes[name] for name in cut) for cut in cuts)

    def divides(self, batch_size: int) -> bool:
        """Return whether a batch falls into as many equal parts as the mesh says, without which no jax runs it so."""
        return batch_size % math.prod(self.parts([self.batch])) == 0

    def device_bytes(self, state: StateSpec) -> int:
        """Return how many bytes of a state each device has."""
        return sum(leaf.nbytes // math.prod(self.parts(cuts)) for leaf, cuts in zip(state, self.state, strict=True))

    def cut(self, state: StateSpec) -> StateSpec:
        """Return the leaves of a state with one piece for each part of a leaf."""
        return tuple(
            msgspec.structs.replace(leaf, pieces=self.parts(cuts)) for leaf, cuts in zip(state, self.state, strict=True)
        )

    def __str__(self) -> str:
        """Return axes and sizes, such as ``data=4, model=2``, in a form that is safe to show."""
        return printable(", ".join(f"{axis.name}={axis.size}" for axis in self.axes))


def problem_of_mesh(mesh: Mesh, state: StateSpec) -> str | None:
    """Return what is wrong with a mesh for this state, in words, or None if nothing is."""
    sizes = mesh.sizes
    # A name that is there twice is once in the sizes.
    if not 1 <= len(mesh.axes) == len(sizes) <= _MAX_AXES or math.prod(sizes.values()) > _MAX_DEVICES:
        return f"axes: expected 1 to {_MAX_AXES} of different names, and at most {_MAX_DEVICES} devices"
    # One entry for each leaf, in order: a leaf without one would be cut by default, which may differ between versions.
    if len(mesh.state) != len(state):
        return f"state: got {len(mesh.state)} leaves, expected {len(state)}"
    if not _are_axes(mesh.batch, sizes):
        return f"batch: got {list(mesh.batch)}, expected different axes of {list(sizes)}"
    found = (_problem_of_leaf(cuts, leaf, sizes) for cuts, leaf in zip(mesh.state, state, strict=True))
    return next(filter(None, found), None)


def _problem_of_leaf(cuts: tuple[Cut, ...], leaf: LeafSpec, sizes: dict[str, int]) -> str | None:
    where = f"state: the leaf {leaf.path!r}"
    if len(cuts) != len(leaf.shape):
        return f"{where}: got cuts of {len(cuts)} axes, expected {len(leaf.shape)}"
    if not _are_axes([name for cut in cuts for name in cut], sizes):
        return f"{where}: expected axes of {list(sizes)}, each at most once"
    for cut, pieces in zip(cuts, leaf.pieces, strict=True):
        parts = math.prod(sizes[name] for name in cut)
        if pieces % parts:  # each device digests whole pieces
            return f"{where}: {pieces} pieces of an axis don't fall into {parts} equal parts"
    return None


def _are_axes(names: Cut | list[str], sizes: dict[str, int]) -> bool:
    return len(set(names)) == len(names) and set(names) <= sizes.keys()
