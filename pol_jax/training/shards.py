"""States that lie on several devices are digested where their shards lie, piece by piece (section 4).

No process ever has a whole state. Each piece is digested once, by the process that has the first device with it; the
digests of pieces, 32 bytes each, are all that is needed of the others. Where a state is kept, copies of a piece on
other devices are compared with it, those of other processes by their digests: so silent corruption is found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final

import jax
import msgspec
import numpy as np

from pol_jax.errors import DivergenceError
from pol_jax.program.artifact import Program
from pol_jax.program.placement import Index, Placement
from pol_jax.protocol.encoding import DIGEST_BYTES, Digest, state_digest
from pol_jax.protocol.trees import DTYPES, LeafSpec, StateSpec
from pol_jax.training.device_digests import DeviceDigests, Part
from pol_jax.training.states import HostState, Layout, Packed, contiguous_bytes, cut, piece_digests

_CURE: Final = "; check both, then continue with the same command"


@dataclass(frozen=True)
class Shard:
    """A shard is the part of a leaf that a device has.

    Attributes:
        leaf: place of the leaf in the state.
        index: a slice for each of its axes.
        pieces: numbers of its pieces among all pieces of the state, in row-major order.
        devices: that have it; the first one's process digests it.
    """

    leaf: int
    index: Index
    pieces: tuple[int, ...]
    devices: tuple[jax.Device, ...]

    def on(self, process: int) -> list[jax.Device]:
        """Return the devices of a process that have it."""
        return [device for device in self.devices if device.process_index == process]


@dataclass(frozen=True)
class ShardedLayout(Layout):
    """This layout is that of states that lie on the devices of a placement."""

    placement: Placement

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """Return all different shards of a state, on whatever process; in the order of leaves, then of devices."""
        return tuple(_shards(self.spec, self.placement))

    @cached_property
    def shapes(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shape and dtype of each leaf."""
        return tuple(jax.ShapeDtypeStruct(leaf.shape, DTYPES[leaf.dtype]) for leaf in self.spec)

    @cached_property
    def pieces(self) -> int:
        """Return the number of pieces of a state."""
        return sum(math.prod(leaf.pieces) for leaf in self.spec)

    @cached_property
    def nbytes(self) -> int:
        """Return how many bytes of a state each device has."""
        shards = zip(self.spec, self.placement.state, strict=True)
        return sum(math.prod(sharding.shard_shape(leaf.shape)) * _itemsize(leaf) for leaf, sharding in shards)

    def is_digested_in_place(self, leaves: Sequence[jax.Array]) -> bool:
        """Return False: the copy on the devices is what is digested and saved."""
        return False

    def pack(self, leaves: Sequence[jax.Array]) -> Packed:
        """Start to copy a state on its devices, and return without waiting for it."""
        return self.placement.copy(tuple(leaves))

    def fetch(self, packed: Packed) -> ShardedState:
        """Return the copied state; its shards are brought to the host when they are digested or saved."""
        return ShardedState(self, packed)

    def view(self, leaves: Sequence[jax.Array]) -> ShardedState:
        """Return a state where it lies, without copying it; it must not be used when the next step has begun."""
        return ShardedState(self, tuple(leaves))

    def copy_of(self, leaves: Sequence[jax.Array]) -> ShardedState:
        """Return a copy of a state, on the same devices."""
        return self.fetch(self.pack(leaves))

    def digest_on_device(self, leaves: Sequence[jax.Array]) -> DeviceDigests | None:
        """Begin to digest the shards that this process digests where they lie; None where the host has to do it."""
        if self.digester.is_of_no_use:
            return None
        parts = [{shard.device: shard.data for shard in leaf.addressable_shards} for leaf in leaves]
        owned = self.owned(jax.process_index())
        arrays = [parts[shard.leaf][shard.devices[0]] for shard in owned]
        pieces = (_part(self.spec[each.leaf], array.shape).pieces for each, array in zip(owned, arrays, strict=True))
        return self.digester.dispatch(
            list(map(Part, arrays, pieces)), self.combine, ShardedState(self, tuple(leaves)).digest_pieces
        )

    def owned(self, process: int) -> list[Shard]:
        """Return the shards that a process digests."""
        return [shard for shard in self.shards if shard.devices[0].process_index == process]

    def copies(self, process: int) -> list[Shard]:
        """Return the shards that a process has, and another one digests."""
        return [shard for shard in self.shards if shard.devices[0].process_index != process and shard.on(process)]

    def combine(self, messages: Mapping[int, bytes]) -> Digest:
        """Return the digest of a state from what the processes have digested of it.

        Args:
            messages: by process, the digests of the pieces of its `owned` shards, one after the other; those of its
                `copies` may follow, and are compared with them.

        Raises:
            DivergenceError: a copy has other bits.
        """
        found, copied = dict[int, Digest](), list[tuple[Shard, int, list[Digest]]]()
        for process, content in messages.items():
            owned, copies = self.owned(process), self.copies(process)
            parts = [content[at : at + DIGEST_BYTES] for at in range(0, len(content), DIGEST_BYTES)]
            numbers = [number for shard in owned for number in shard.pieces]
            found |= dict(zip(numbers, parts[: len(numbers)], strict=True))
            rest = iter(parts[len(numbers) :])
            # Digests of copies are sent only where copies are compared.
            copied += [
                (each, process, list(islice(rest, len(each.pieces)))) for each in copies if len(parts) > len(numbers)
            ]
        for shard, process, digests in copied:
            if digests != [found[number] for number in shard.pieces]:
                raise DivergenceError(_differ(self.spec, shard.leaf, shard.on(process)[0], shard.devices[0]) + _CURE)
        return state_digest(self.spec_digest, (found[number] for number in range(self.pieces)))


@dataclass(frozen=True, eq=False)
class ShardedState(HostState):
    """This state has leaves on several devices, some of which may be other processes'."""

    layout: ShardedLayout
    leaves: tuple[jax.Array, ...]  # type: ignore[assignment]  # in the place of arrays of the host

    def digest(self) -> Digest:
        """Return the digest of the state; all of its devices are this process's."""
        return self.layout.combine({jax.process_index(): self.digest_pieces()})

    def digest_pieces(self, *, with_copies: bool = False) -> bytes:
        """Return the digests of the pieces that this process digests, one after the other.

        Args:
            with_copies: whether those follow of what another process digests and this one has too.
        """
        process, layout = jax.process_index(), self.layout
        pieces = list[memoryview]()
        for shard in (*layout.owned(process), *(layout.copies(process) if with_copies else ())):
            # Of one device: `check_replicas` compares the others of this process.
            content = np.asarray(self._parts[shard.leaf][shard.on(process)[0]])
            pieces += cut(_part(layout.spec[shard.leaf], content.shape), content)
        return b"".join(piece_digests(pieces))

    def check_replicas(self) -> None:
        """Check that what several devices of this process have is the same on all of them.

        Raises:
            DivergenceError: a device has other bits than another one: its memory or processor can't be trusted.
        """
        if problem := problem_of_copies(self.layout.spec, self.leaves):
            raise DivergenceError(problem + _CURE)

    @cached_property
    def _parts(self) -> list[dict[jax.Device, jax.Array]]:
        return [{shard.device: shard.data for shard in leaf.addressable_shards} for leaf in self.leaves]


def problem_of_copies(spec: StateSpec, leaves: Sequence[jax.Array]) -> str | None:
    """Return which devices of this process should have the same part of a state and don't, or None if there are none.

    Such a state is several, of which only one would be digested: what follows from the others follows from no digest.
    """
    for place, leaf in enumerate(leaves):
        parts = defaultdict[tuple[tuple[int | None, int | None], ...], list[jax.Shard]](list)
        for shard in leaf.addressable_shards:
            parts[tuple((each.start, each.stop) for each in shard.index)].append(shard)
        # What one device alone has is not fetched.
        for first, *copies in parts.values():
            for copy in copies:
                if _bytes_of(copy) != _bytes_of(first):
                    return _differ(spec, place, copy.device, first.device)
    return None


def _bytes_of(shard: jax.Shard) -> memoryview:
    return contiguous_bytes(np.asarray(shard.data))


def _differ(spec: StateSpec, leaf: int, one: jax.Device, other: jax.Device) -> str:
    return (
        f"leaf {spec[leaf].path or '/'}: {one} has other bits than {other}, and should have the same: memory or"
        " processor of one of them can't be trusted, unless the step gives each device its own (shard_map with"
        " check_vma=False)"
    )


def layout_of(program: Program) -> Layout:
    """Return the layout of the states of a program, where it runs."""
    state, placement = program.signature.state, program.placement
    return Layout(state) if placement is None else ShardedLayout(state, placement)


def _shards(spec: StateSpec, placement: Placement) -> Iterator[Shard]:
    first = 0
    for place, (leaf, sharding) in enumerate(zip(spec, placement.state, strict=True)):
        numbers = np.arange(first, first + math.prod(leaf.pieces)).reshape(leaf.pieces)
        devices = dict[tuple[tuple[int, int], ...], list[jax.Device]]()
        for device, index in sharding.devices_indices_map(leaf.shape).items():
            # A slice of a whole axis has no bounds of its own, and equal parts must be equal keys.
            bounds = tuple(each.indices(size)[:2] for each, size in zip(index, leaf.shape, strict=True))
            # In the order of the devices of the mesh, so that all processes agree on who digests a shard.
            devices.setdefault(bounds, []).append(device)
        for bounds, having in devices.items():
            index = tuple(slice(*each) for each in bounds)
            cut = _pieces_at(leaf, bounds)
            yield Shard(place, index, tuple(numbers[cut].reshape(-1).tolist()), tuple(having))
        first += math.prod(leaf.pieces)


def _pieces_at(leaf: LeafSpec, bounds: Sequence[tuple[int, int]]) -> Index:
    """Return which pieces of a leaf lie in a part of it; an axis without elements is not cut."""
    return tuple(
        # Without a rest: each device has whole pieces (section 2.1).
        slice(begin * pieces // size, end * pieces // size) if size else slice(None)
        for (begin, end), pieces, size in zip(bounds, leaf.pieces, leaf.shape, strict=True)
    )


def _part(leaf: LeafSpec, shape: tuple[int, ...]) -> LeafSpec:
    """Return the specification of a part of a leaf, by itself."""
    pieces = tuple(
        pieces * own // size if size else pieces
        for pieces, own, size in zip(leaf.pieces, shape, leaf.shape, strict=True)
    )
    return msgspec.structs.replace(leaf, shape=shape, pieces=pieces)


def _itemsize(leaf: LeafSpec) -> int:
    return DTYPES[leaf.dtype].itemsize
