"""States are brought from the device to the host, and digested (section 4).

A step reuses the memory of the state before it, so a digest of that state must be finished first, or be of a copy.
Which one costs less was measured. A large state on a CPU is digested where it lies, by all cores, while the next step
waits: to copy it would take longer than to digest it. Any other state is copied on the device ("packed": all leaves of
a dtype into one array), by a program of its own after the step. The copy is fetched while later steps run, and in a few
large transfers instead of many small ones. A state on an accelerator that nobody keeps is digested there, and not
copied (`pol_jax.training.device_digests`).
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import PARALLEL_BYTES, Digest, document_digest, piece_digest, state_digest
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec
from pol_jax.training.device_digests import DeviceDigester, DeviceDigests, Part

Packed = tuple[jax.Array, ...]
"""A packed state is one 1-d array for each dtype, in the order in which the dtypes first appear."""

_COPIED_BYTES: Final = 2**22
"""Up to this size, a copy of a state costs less than a pause of the loop (measured)."""


@lru_cache(maxsize=64)
def _packing(groups: tuple[tuple[int, ...], ...]) -> jax.stages.Wrapped:
    """Return the program that packs a state, given the leaves of each buffer; it is compiled once in a process."""

    def pack(leaves: tuple[jax.Array, ...]) -> Packed:
        # Without the copy, a group of one flat leaf would be the leaf itself, whose memory the next step reuses.
        return tuple(jnp.copy(jnp.concatenate([leaves[i].ravel() for i in group])) for group in groups)

    return jax.jit(pack)


@dataclass(frozen=True)
class Slot:
    """A slot says where a leaf lies in a packed state: in which buffer, and from which element to which."""

    buffer: int
    start: int
    stop: int


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
            start = ends[leaf.dtype]
            stop = ends[leaf.dtype] = start + math.prod(leaf.shape)
            slots.append(Slot(self.dtypes.index(leaf.dtype), start, stop))
        return tuple(slots)

    @cached_property
    def nbytes(self) -> int:
        """Return how many bytes a state has."""
        return sum(leaf.nbytes for leaf in self.spec)

    @cached_property
    def spec_digest(self) -> Digest:
        """Return the digest of the specification, which is part of every state digest."""
        return document_digest("state spec", encode(list(self.spec)))

    @cached_property
    def _pack(self) -> jax.stages.Wrapped:
        return _packing(tuple(tuple(i for i, leaf in enumerate(self.spec) if leaf.dtype == d) for d in self.dtypes))

    def pack(self, leaves: Sequence[jax.Array]) -> Packed:
        """Start to copy a state on the device, and return without waiting for it."""
        packed: Packed = self._pack(tuple(leaves))
        return packed

    def fetch(self, packed: Packed) -> HostState:
        """Bring a packed state to the host; this waits for the device."""
        buffers = tuple(np.asarray(array) for array in packed)
        pairs = zip(self.spec, self.slots, strict=True)
        leaves = (buffers[slot.buffer][slot.start : slot.stop].reshape(leaf.shape) for leaf, slot in pairs)
        return HostState(self, tuple(leaves), buffers)

    @cached_property
    def pieces_of_packed(self) -> tuple[tuple[int, slice], ...]:
        """Return buffer and bytes of each piece of a packed state; nothing if any leaf is cut into pieces."""
        # A leaf that is cut has pieces that are no runs of bytes in a buffer.
        if not all(leaf.is_whole for leaf in self.spec):
            return ()
        sizes = [DTYPES[leaf.dtype].itemsize for leaf in self.spec]
        pairs = zip(self.slots, sizes, strict=True)
        return tuple((slot.buffer, slice(slot.start * size, slot.stop * size)) for slot, size in pairs)

    def is_digested_in_place(self, leaves: Sequence[jax.Array]) -> bool:
        """Return whether a state is digested where it lies, because it is large and in the memory of the host."""
        return self.nbytes > _COPIED_BYTES and all(
            device.platform == "cpu" for leaf in leaves[:1] for device in leaf.devices()
        )

    @cached_property
    def digester(self) -> DeviceDigester:
        """Return what digests states on accelerators."""
        return DeviceDigester()

    def digest_on_device(self, leaves: Sequence[jax.Array]) -> DeviceDigests | None:
        """Begin to digest a state where it lies, on an accelerator; None where the host has to do it."""
        if self.digester.is_of_no_use:
            return None
        parts = [Part(leaf, spec.pieces) for leaf, spec in zip(leaves, self.spec, strict=True)]
        return self.digester.dispatch(parts, self.combine, lambda: self.view(leaves).digest_pieces())

    def combine(self, messages: Mapping[int, bytes]) -> Digest:
        """Return the digest of a state from the digests of its pieces, one after the other, of the one process."""
        (content,) = messages.values()
        return state_digest(self.spec_digest, [content])

    def view(self, leaves: Sequence[jax.Array]) -> HostState:
        """Return a state on a CPU without copying it, after waiting for the step that computes it.

        No view may be left when the next step begins: it could not take over the memory, and would copy the state.
        """
        # On a CPU `np.asarray` shares the memory of an array.
        return HostState(self, tuple(np.asarray(leaf) for leaf in leaves))

    def copy_of(self, leaves: Sequence[jax.Array]) -> HostState:
        """Return a copy of a state that lies on the device."""
        return self.gather([np.array(leaf) for leaf in leaves])

    def gather(self, leaves: Sequence[np.ndarray]) -> HostState:
        """Return the host state with these leaves, which are not copied.

        Raises:
            ValueError: there are more or fewer leaves than the layout has, or one has another dtype or shape.
        """
        for leaf, array in zip(self.spec, leaves, strict=True):
            # Digests are of bytes: an array of another type would be that of another state, or of none.
            if (array.dtype, array.shape) != (DTYPES[leaf.dtype], leaf.shape):
                raise ValueError(f"leaf {leaf.path}: got {array.dtype}{list(array.shape)}, expected {leaf}")
        return HostState(self, tuple(leaves))


@dataclass(frozen=True, eq=False)
class HostState:
    """A host state is a state in the memory of the host.

    Attributes:
        layout: describes the leaves.
        leaves: the leaves in the order of the specification; they may be views of a state on the device, or of files.
        packed: the buffers that the leaves are views of, if it was packed: small states are digested faster from them.
    """

    layout: Layout
    leaves: tuple[np.ndarray, ...]
    packed: tuple[np.ndarray, ...] = ()

    def copy(self) -> HostState:
        """Return the same state in memory of its own."""
        return HostState(self.layout, tuple(np.array(leaf) for leaf in self.leaves))

    def digest(self) -> Digest:
        """Return the digest of the state."""
        return self.layout.combine({0: self.digest_pieces()})

    def digest_pieces(self, *, with_copies: bool = False) -> bytes:
        """Return the digests of the pieces of the state, one after the other; there are no copies of any."""
        return b"".join(piece_digests(self._pieces()))

    def _pieces(self) -> list[memoryview]:
        """Return the bytes of each piece, in order."""
        if self.packed and (places := self.layout.pieces_of_packed):
            buffers = [contiguous_bytes(buffer) for buffer in self.packed]
            return [buffers[buffer][where] for buffer, where in places]
        pairs = zip(self.layout.spec, self.leaves, strict=True)
        return [piece for leaf, array in pairs for piece in cut(leaf, array)]


def cut(leaf: LeafSpec, array: np.ndarray) -> Iterator[memoryview]:
    """Yield the little-endian bytes of the pieces of a leaf, in row-major order of their places.

    A piece that lies in memory as one run of bytes isn't copied.

    Args:
        leaf: says how many pieces each axis has.
        array: the leaf; or a part of it, with ``leaf`` describing that part, such as one device of several holds.
    """
    if leaf.is_whole:
        yield contiguous_bytes(array)
        return
    sizes = [size // parts for size, parts in zip(leaf.shape, leaf.pieces, strict=True)]
    for corner in np.ndindex(*leaf.pieces):
        yield contiguous_bytes(
            array[tuple(slice(i * size, (i + 1) * size) for i, size in zip(corner, sizes, strict=True))]
        )


def piece_digests(pieces: Sequence[memoryview]) -> list[Digest]:
    """Return the digest of each piece; on all processors, if there are many bytes.

    The pieces may be those of a whole state, or those that one process of several holds: a state digest needs the
    digests of all pieces, in order, and none of their bytes.
    """
    if sum(map(len, pieces)) <= PARALLEL_BYTES:
        return [piece_digest(piece) for piece in pieces]
    large = {at for at, piece in enumerate(pieces) if len(piece) > PARALLEL_BYTES}  # each uses all processors by itself
    with ThreadPoolExecutor(os.cpu_count() or 1, "pol-digest") as pool:
        small = pool.map(piece_digest, [piece for at, piece in enumerate(pieces) if at not in large])
        # In this thread, while the pool digests the small ones.
        found = {at: piece_digest(pieces[at]) for at in sorted(large)}
        return [found[at] if at in large else next(small) for at in range(len(pieces))]


def contiguous_bytes(array: np.ndarray) -> memoryview:
    """Return the array bytes (section 1) of an array; they are copied only if they don't lie in one piece."""
    return np.ascontiguousarray(little_endian(array)).reshape(-1).view(np.uint8).data


def little_endian(buffer: np.ndarray) -> np.ndarray:
    """Return an array whose bytes are little-endian, as every hash and file has them."""
    return buffer if sys.byteorder == "little" else buffer.byteswap()
