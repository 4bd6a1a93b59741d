"""A placement puts the arrays of a program on the devices of a mesh, as a commitment says (section 2.1).

The programs are those of one device; XLA divides them among the devices. The same program, mesh and shardings give the
same bits, however the devices are spread over processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, Final, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec
from jaxtyping import Int64

from pol_jax.errors import BackendError
from pol_jax.protocol.mesh import Cut, Mesh

_PUT_BYTES: Final = 2**28
"""While a state is put on the devices, about this many bytes of it are there twice."""

Index: TypeAlias = tuple[slice, ...]
"""An index is the place of a shard in its array: a slice for each axis."""

Axes: TypeAlias = jax.sharding.Mesh | AbstractMesh
"""Axes are those of a mesh of devices, or stand alone, without naming a kind of device."""


@dataclass(frozen=True)
class Placement:
    """A placement says where the arrays of a run lie.

    Attributes:
        devices: the mesh of this backend, or the axes alone.
        state: how each leaf of the state is cut, in order.
        batch: how every array of the batch is cut.
        whole: of arrays that every device has: keys and metrics.
    """

    devices: Axes
    state: tuple[NamedSharding, ...]
    batch: NamedSharding
    whole: NamedSharding

    @cached_property
    def has_peers(self) -> bool:
        """Return whether some of the devices belong to other processes."""
        return not self.whole.is_fully_addressable

    @cached_property
    def first_process(self) -> int:
        """Return the process that has the first device of the mesh."""
        first: Any = next(iter(self.whole.devices_indices_map(())))
        return int(first.process_index)

    @cached_property
    def copy(self) -> Callable[[Sequence[jax.Array]], tuple[jax.Array, ...]]:
        """Return what copies a state on its devices; the copy outlives the state, whose memory the next step reuses."""
        return _copier(self.state)

    def put(self, shapes: Sequence[Any], read: Callable[[int, Index], np.ndarray]) -> tuple[jax.Array, ...]:
        """Return a state on the devices of this process, whose shards are read one by one.

        Args:
            shapes: shape and dtype of each leaf.
            read: ``read(place of the leaf, index)`` returns a part of a leaf.
        """
        found, waiting = list[jax.Array](), list[jax.Array]()
        for at, (each, sharding) in enumerate(zip(shapes, self.state, strict=True)):
            waiting.append(jax.make_array_from_callback(each.shape, sharding, partial(read, at)))
            if sum(array.nbytes for array in waiting) > _PUT_BYTES or at == len(shapes) - 1:
                copy = _copier(self.state[len(found) : at + 1])
                found += copy(waiting)  # XLA can't reuse the memory of arrays that numpy owns
                waiting = []
        return tuple(found)

    def rows(self, batch_size: int) -> Int64[np.ndarray, " rows"]:
        """Return which rows of a batch the devices of this process receive, ascending."""
        parts = self.batch.addressable_devices_indices_map((batch_size,)).values()
        return np.unique(np.concatenate([np.arange(batch_size)[part] for part in parts]))

    def feed(self, rows: Sequence[np.ndarray], batch_size: int) -> tuple[Any, ...]:
        """Return the arrays of a batch for the devices, from those `rows` that this process has read."""
        if not self.has_peers:
            return tuple(rows)
        places = self.rows(batch_size)

        def part(leaf: np.ndarray, index: Index) -> np.ndarray:
            # This process has read only the rows that its devices receive, so a row's place is found among these.
            first, last = np.searchsorted(places, np.arange(batch_size)[index[0]][[0, -1]])
            return leaf[first : last + 1]

        return tuple(
            jax.make_array_from_callback((batch_size, *leaf.shape[1:]), self.batch, partial(part, leaf))
            for leaf in rows
        )


@cache
def _copier(shardings: tuple[NamedSharding, ...]) -> Callable[[Sequence[jax.Array]], tuple[jax.Array, ...]]:
    return jax.jit(lambda leaves: tuple(map(jnp.copy, leaves)), out_shardings=shardings)


def axes_of(mesh: Mesh) -> AbstractMesh:
    """Return the axes of a mesh, without devices; XLA chooses the shardings of what no program constrains."""
    return _auto(mesh.sizes)


def axes_alone(devices: Axes) -> AbstractMesh:
    """Return the axes of a mesh of devices, in the same form."""
    return _auto(devices.shape)


def _auto(sizes: Mapping[str, int]) -> AbstractMesh:
    return AbstractMesh(tuple(sizes.values()), tuple(sizes), axis_types=(AxisType.Auto,) * len(sizes))


def place(mesh: Mesh, devices: Axes | None = None) -> Placement:
    """Return where the arrays of a run lie on this backend.

    Args:
        mesh: the committed one.
        devices: a mesh of this backend with these axes, or the axes alone; None for a mesh of jax's choice.

    Raises:
        BackendError: there are too few devices.
    """
    if devices is None:
        if jax.device_count() < mesh.device_count:
            raise BackendError(f"the run's mesh has {mesh.device_count} devices, and this backend {jax.device_count()}")
        sizes = tuple(axis.size for axis in mesh.axes)
        names = tuple(axis.name for axis in mesh.axes)
        # In the order of jax's `make_mesh` (section 9): the order of a sum over devices decides its bits.
        chosen = jax.devices()[: mesh.device_count]
        devices = jax.make_mesh(sizes, names, devices=chosen, axis_types=(AxisType.Auto,) * len(sizes))
    return Placement(
        devices,
        tuple(NamedSharding(devices, _spec(cuts)) for cuts in mesh.state),
        NamedSharding(devices, _spec((mesh.batch,))),
        NamedSharding(devices, PartitionSpec()),
    )


def _spec(cuts: Sequence[Cut]) -> PartitionSpec:
    return PartitionSpec(*(cut if len(cut) > 1 else cut[0] if cut else None for cut in cuts))
