"""This module brings states from the device to the host, and computes their digests (section 4).

All leaves of a dtype are first copied into one array on the device ("packed"), by a program of its own after the step.
The copy outlives the state, whose memory the next step reuses. It can be fetched while later steps run, and in a few
large transfers instead of many small ones.
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
"""A packed state is one 1-d array for each dtype, in the order in which the dtypes first appear."""


@dataclass(frozen=True)
class Slot:
    """A slot says where a leaf lies in a packed state: in which buffer, and from which element and byte to which."""

    buffer: int
    start: int
    stop: int
    start_byte: int
    stop_byte: int


@dataclass(frozen=True)
class Layout:
    """A layout says where each leaf lies in a packed state, and how the state is digested."""

    spec: StateSpec

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """Return the dtype of each buffer."""
        return tuple(dict.fromkeys(leaf.dtype for leaf in self.spec))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Return the place of each leaf."""
        ends = dict.fromkeys(self.dtypes, 0)
        slots = []
        for leaf in self.spec:
            start, size = ends[leaf.dtype], DTYPES[leaf.dtype].itemsize
            stop = ends[leaf.dtype] = start + math.prod(leaf.shape)
            slots.append(Slot(self.dtypes.index(leaf.dtype), start, stop, start * size, stop * size))
        return tuple(slots)

    @cached_property
    def nbytes(self) -> int:
        """Return how many bytes a state has."""
        return sum(leaf.nbytes for leaf in self.spec)

    @cached_property
    def whole(self) -> bool:
        """Return whether every leaf is digested as one piece."""
        return all(leaf.is_whole for leaf in self.spec)

    @cached_property
    def spec_digest(self) -> Digest:
        """Return the digest of the specification, which is part of every state digest."""
        return document_digest("state spec", encode(list(self.spec)))

    @cached_property
    def _pack(self) -> jax.stages.Wrapped:
        groups = [[i for i, leaf in enumerate(self.spec) if leaf.dtype == dtype] for dtype in self.dtypes]

        def pack(leaves: tuple[jax.Array, ...]) -> Packed:
            # Without the copy, a group of one flat leaf would be the leaf itself, whose memory the next step reuses.
            return tuple(jnp.copy(jnp.concatenate([leaves[i].ravel() for i in group])) for group in groups)

        return jax.jit(pack)

    def pack(self, leaves: Sequence[jax.Array]) -> Packed:
        """Start to copy a state on the device, and return without waiting for it."""
        packed: Packed = self._pack(tuple(leaves))
        return packed

    def fetch(self, packed: Packed) -> HostState:
        """Bring a packed state to the host; this waits for the device."""
        return HostState(self, tuple(np.asarray(array) for array in packed))

    def gather(self, leaves: Sequence[np.ndarray]) -> HostState:
        """Return the host state with these leaves, laid out as if it had been fetched."""
        buffers = [np.empty(0)] * len(self.dtypes)
        for buffer, dtype in enumerate(self.dtypes):
            parts = [np.ravel(leaf) for leaf, slot in zip(leaves, self.slots, strict=True) if slot.buffer == buffer]
            buffers[buffer] = np.concatenate(parts, dtype=DTYPES[dtype], casting="no")  # a cast would change bits
        return HostState(self, tuple(buffers))


@dataclass(frozen=True, eq=False)
class HostState:
    """A host state is a state in the memory of the host.

    Attributes:
        layout: where the leaves lie in the buffers.
        buffers: one 1-d array for each dtype of the layout.
    """

    layout: Layout
    buffers: tuple[np.ndarray, ...]

    @property
    def leaves(self) -> list[np.ndarray]:
        """Return the leaves in the order of the specification, as views into the buffers."""
        pairs = zip(self.layout.spec, self.layout.slots, strict=True)
        return [self.buffers[slot.buffer][slot.start : slot.stop].reshape(leaf.shape) for leaf, slot in pairs]

    def digest(self) -> Digest:
        """Return the digest of the state."""
        layout = self.layout
        raw = [little_endian(buffer).view(np.uint8).data for buffer in self.buffers]
        leaves = [raw[slot.buffer][slot.start_byte : slot.stop_byte] for slot in layout.slots]
        if layout.whole:
            return state_digest(layout.spec_digest, leaves)
        pairs = zip(layout.spec, leaves, strict=True)
        return state_digest(layout.spec_digest, [piece for leaf, content in pairs for piece in _cut(leaf, content)])


def _cut(leaf: LeafSpec, content: memoryview) -> Iterator[memoryview]:
    """Yield the bytes of the pieces of a leaf, in row-major order of their places."""
    array = np.frombuffer(content, np.uint8).reshape(*leaf.shape, DTYPES[leaf.dtype].itemsize)
    sizes = [size // parts for size, parts in zip(leaf.shape, leaf.pieces, strict=True)]
    for corner in np.ndindex(*leaf.pieces):
        piece = array[tuple(slice(i * size, (i + 1) * size) for i, size in zip(corner, sizes, strict=True))]
        yield np.ascontiguousarray(piece).reshape(-1).data


def little_endian(buffer: np.ndarray) -> np.ndarray:
    """Return an array whose bytes are little-endian, as every hash and file has them."""
    return buffer if sys.byteorder == "little" else buffer.byteswap()
