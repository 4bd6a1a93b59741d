"""States on their way from the device to a digest: packed, fetched, digested, unpacked.

Packing copies all leaves of a dtype into one array, in a program of its own after the step. The copy outlives the
state, which the next step donates; it can be fetched while later steps run, and in a few large transfers.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import Digest, document_digest, state_digest
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec

Packed = tuple[jax.Array, ...]
"""One 1-d array for each dtype, in the order in which the dtypes first appear."""


@dataclass(frozen=True)
class Slot:
    """Where a leaf lies in the packed form: which buffer, from which element and byte to which."""

    buffer: int
    start: int
    stop: int
    start_byte: int
    stop_byte: int


@dataclass(frozen=True)
class Layout:
    """Where each leaf of a state lies in its packed form, and how the state is digested."""

    spec: StateSpec

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The dtype of each buffer."""
        return tuple(dict.fromkeys(leaf.dtype for leaf in self.spec))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The place of each leaf."""
        ends = dict.fromkeys(self.dtypes, 0)
        slots = []
        for leaf in self.spec:
            start, size = ends[leaf.dtype], DTYPES[leaf.dtype].itemsize
            stop = ends[leaf.dtype] = start + math.prod(leaf.shape)
            slots.append(Slot(self.dtypes.index(leaf.dtype), start, stop, start * size, stop * size))
        return tuple(slots)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of a state."""
        return sum(leaf.nbytes for leaf in self.spec)

    @cached_property
    def whole(self) -> bool:
        """Whether every leaf is one piece."""
        return all(leaf.is_whole for leaf in self.spec)

    @cached_property
    def spec_digest(self) -> Digest:
        """Digest of the specification; part of every state digest."""
        return document_digest("state spec", encode(list(self.spec)))

    @cached_property
    def _pack(self) -> jax.stages.Wrapped:
        groups = [[at for at, leaf in enumerate(self.spec) if leaf.dtype == dtype] for dtype in self.dtypes]

        def pack(leaves: tuple[jax.Array, ...]) -> Packed:
            # Without the copy a group of one flat leaf would be the leaf itself, which the next step donates.
            return tuple(jnp.copy(jnp.concatenate([leaves[at].ravel() for at in group])) for group in groups)

        return jax.jit(pack)

    def pack(self, leaves: Sequence[jax.Array]) -> Packed:
        """Copy a state on the device; dispatched, not waited for."""
        packed: Packed = self._pack(tuple(leaves))
        return packed

    def fetch(self, packed: Packed) -> HostState:
        """Bring a packed state to the host. Waits for the device."""
        return HostState(self, tuple(np.asarray(array) for array in packed))

    def gather(self, leaves: Sequence[np.ndarray]) -> HostState:
        """A state whose leaves lie somewhere on the host, as one that was fetched."""
        buffers = [np.empty(0)] * len(self.dtypes)
        for at, dtype in enumerate(self.dtypes):
            mine = [np.ravel(leaf) for leaf, slot in zip(leaves, self.slots, strict=True) if slot.buffer == at]
            buffers[at] = np.concatenate(mine, dtype=DTYPES[dtype], casting="no")
        return HostState(self, tuple(buffers))


@dataclass(frozen=True, eq=False)
class HostState:
    """A state on the host.

    Attributes:
        layout: how the leaves lie in the buffers.
        buffers: one 1-d array for each dtype of the layout.
    """

    layout: Layout
    buffers: tuple[np.ndarray, ...]

    @property
    def leaves(self) -> list[np.ndarray]:
        """The leaves: views into the buffers, in the order of the specification."""
        pairs = zip(self.layout.spec, self.layout.slots, strict=True)
        return [self.buffers[slot.buffer][slot.start : slot.stop].reshape(leaf.shape) for leaf, slot in pairs]

    def digest(self) -> Digest:
        """Digest of the state."""
        layout = self.layout
        raw = [little_endian(buffer).view(np.uint8).data for buffer in self.buffers]
        leaves = [raw[slot.buffer][slot.start_byte : slot.stop_byte] for slot in layout.slots]
        if layout.whole:
            return state_digest(layout.spec_digest, leaves)
        pairs = zip(layout.spec, leaves, strict=True)
        return state_digest(layout.spec_digest, [piece for leaf, content in pairs for piece in _cut(leaf, content)])


def _cut(leaf: LeafSpec, content: memoryview) -> Iterator[memoryview]:
    """The bytes of the pieces of a leaf, in row-major order of their places."""
    array = np.frombuffer(content, np.uint8).reshape(*leaf.shape, DTYPES[leaf.dtype].itemsize)
    sizes = [size // parts for size, parts in zip(leaf.shape, leaf.pieces, strict=True)]
    for corner in np.ndindex(*leaf.pieces):
        piece = array[tuple(slice(at * size, (at + 1) * size) for at, size in zip(corner, sizes, strict=True))]
        yield np.ascontiguousarray(piece).reshape(-1).data


def little_endian(buffer: np.ndarray) -> np.ndarray:
    """An array whose bytes are as every hash and file has them."""
    return buffer if sys.byteorder == "little" else buffer.byteswap()
