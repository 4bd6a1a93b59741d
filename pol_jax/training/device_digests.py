"""On GPUs and TPUs, states are digested where they lie: by a program of its own, which is dispatched after the step.

It reads the buffers that the step has written before the next step reuses them, and 32 bytes for each piece come to the
host. Where the kernel doesn't run, or gives another digest of the first state than the host, the host digests them all.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.protocol.encoding import DIGEST_BYTES, PIECE_CONTEXT, Digest, piece_digest

Pieces = tuple[int, ...]
"""Pieces say into how many parts each axis of an array is cut."""


DigestCombiner: TypeAlias = Callable[[Mapping[int, bytes]], Digest]
"""This function makes the digest of a state from those of its pieces, by the process that has them."""


@dataclass(frozen=True)
class Part:
    """A part is an array on one device, and the pieces into which it is cut."""

    array: jax.Array
    pieces: Pieces


@dataclass(frozen=True, eq=False)
class DeviceDigests:
    """Device digests are those of the pieces of a state that this process digests; its devices compute them.

    Attributes:
        combine: makes the digest of the whole state.
        found: by device, the digests of its parts, one after the other.
        order: of each part, in the order in which they are told: its device, and the places of its digests there.
    """

    combine: DigestCombiner
    found: Mapping[jax.Device, jax.Array]
    order: Sequence[tuple[jax.Device, slice]]

    def digest_pieces(self, *, with_copies: bool = False) -> bytes:
        """Return the digests, one after the other, when the devices have computed them.

        Args:
            with_copies: copies on other devices can't be compared so: False.
        """
        assert not with_copies  # noqa: S101  # a state that is kept comes to the host
        own_parts = {device: np.asarray(each).astype("<u4", copy=False) for device, each in self.found.items()}
        return b"".join(own_parts[device][places].tobytes() for device, places in self.order)

    def digest(self) -> Digest:
        """Return the digest of the state, all of which is this process's."""
        return self.combine({jax.process_index(): self.digest_pieces()})


class DeviceDigester:
    """Digests states of one layout on the devices that have them, if these agree with the host about the first one."""

    def __init__(self) -> None:
        """Begin without knowing whether they do."""
        self._works: bool | None = None

    @property
    def is_of_no_use(self) -> bool:
        """Return whether the host digests all states."""
        return self._works is False

    def dispatch(
        self, parts: Sequence[Part], combine: DigestCombiner, digest_on_host: Callable[[], bytes]
    ) -> DeviceDigests | None:
        """Begin to digest parts of a state where they lie, without waiting; None where the host has to do it.

        Args:
            parts: of the state, those that this process digests.
            combine: makes the digest of the whole state.
            digest_on_host: returns the digests of the pieces of these parts, one after the other.
        """
        if self._works is None:
            self._works = _on_accelerators(parts) and self._agrees(parts, combine, digest_on_host())
        return _dispatch(parts, combine) if self._works else None

    def _agrees(self, parts: Sequence[Part], combine: DigestCombiner, expected: bytes) -> bool:
        problem = "it gives other digests than the host"
        try:
            if _dispatch(parts, combine).digest_pieces() == expected:
                return True
        except Exception as error:  # noqa: BLE001  # whatever an accelerator's compiler raises: the host can do it
            problem = f"{type(error).__name__}: {(str(error) or 'no text').splitlines()[0][:200]}"
        warnings.warn(f"pol_jax: the host digests states: the kernel that would do it failed: {problem}", stacklevel=2)
        return False


def _on_accelerators(parts: Sequence[Part]) -> bool:
    """Return whether no CPU has a part: there, the library on the host is fifteen times as fast as the kernel."""
    return bool(parts) and all(device.platform != "cpu" for part in parts for device in part.array.devices())


def _dispatch(parts: Sequence[Part], combine: DigestCombiner) -> DeviceDigests:
    devices = [device for part in parts for device in part.array.devices()]
    ends, order = dict.fromkeys(devices, 0), list[tuple[jax.Device, slice]]()
    for device, part in zip(devices, parts, strict=True):
        end = ends[device] + math.prod(part.pieces)
        order.append((device, slice(ends[device], end)))
        ends[device] = end
    found = dict[jax.Device, jax.Array]()
    # One call a device: a compiled program takes arrays of one device alone.
    for device in ends:
        own = [part for part, where in zip(parts, devices, strict=True) if where == device]
        program = _program(tuple(part.pieces for part in own), device.platform)
        found[device] = program(tuple(part.array for part in own))
    return DeviceDigests(combine, found, order)


@cache
def _program(pieces: tuple[Pieces, ...], platform: str) -> Callable[[tuple[jax.Array, ...]], jax.Array]:
    return jax.jit(partial(_digest_all, pieces, platform))


def _digest_all(pieces: tuple[Pieces, ...], platform: str, arrays: tuple[jax.Array, ...]) -> jax.Array:
    from pol_jax.training.device_blake3 import context_key, digest_pieces  # Pallas takes long to import

    key, found = context_key(PIECE_CONTEXT), list[jax.Array]()
    for parts, array in zip(pieces, arrays, strict=True):
        if array.size:
            found.append(digest_pieces(_rows(array, parts), key, platform))
        else:
            # The kernel takes no row without elements, and every leaf counts in a digest (section 4).
            nothing = np.frombuffer(piece_digest(memoryview(b"")), "<u4").astype(np.uint32)
            found.append(jnp.broadcast_to(nothing, (math.prod(parts), DIGEST_BYTES // 4)))
    return jnp.concatenate(found)


def _rows(array: jax.Array, parts: Pieces) -> jax.Array:
    """Return the pieces of an array, each as a row, in row-major order of their places."""
    split = array.reshape([n for size, each in zip(array.shape, parts, strict=True) for n in (each, size // each)])
    axes = range(2 * array.ndim)
    return split.transpose(*axes[::2], *axes[1::2]).reshape(math.prod(parts), -1)
