"""The version of jax's format in which a program was written is read apart from jax's own reader.

jax reads programs for six months only. A program that this jax can't read is damaged if its version is the one that
this jax writes itself; otherwise another jax may read it, and nothing is said about the proof.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Final, NamedTuple

import jax
import jax.export
import numpy as np

_SERIALIZATION_FIELD: Final = 0
_CALLING_CONVENTION_FIELD: Final = 14
"""The places of the two fields in the flatbuffer's table, which never change."""

_WRITER: Final = re.compile(rb"ML\xefR.(StableHLO_v[0-9.]{1,32})\0", re.DOTALL)
"""MLIR's bytecode begins with its magic number, its own version, and the name of the format in it."""

_HIGHEST: Final = 1000
"""No version of jax's format is that high; a higher number is damage."""


class FormatVersion(NamedTuple):
    """A format version has the version numbers in an exported program."""

    serialization: int
    calling_convention: int

    def __str__(self) -> str:
        """Return the version in words."""
        return f"serialization version {self.serialization}, calling convention {self.calling_convention}"


def read_version(artifact: bytes) -> FormatVersion | None:
    """Return the version in an exported program, or None if it has none that can be read."""
    try:
        # A flatbuffer begins with the offset of its table, and the table with the distance back to its directory.
        (table,) = struct.unpack_from("<I", artifact)
        (back,) = struct.unpack_from("<i", artifact, table)
        # A writer aligns both, and the directory can't lie before the first four bytes.
        if table % 4 or back % 2 or table - back < 4:
            return None
        numbers = [
            _field(artifact, table, table - back, at) for at in (_SERIALIZATION_FIELD, _CALLING_CONVENTION_FIELD)
        ]
    except struct.error:
        return None
    return FormatVersion(*numbers) if all(0 < number < _HIGHEST for number in numbers) else None


def unreadable_here(artifact: bytes) -> str | None:
    """Return why this jax may fail to read an intact program of another version, or None if it should read it."""
    version, own = read_version(artifact), _own_version()
    if version is None or version == own:
        return None
    return f"was exported by another jax ({version}; jax {jax.__version__} here writes {own}); use the prover's jax"


def has_supported_convention(exported: jax.export.Exported) -> bool:
    """Return whether this jax can call a program of this calling convention."""
    lowest = jax.export.minimum_supported_calling_convention_version
    highest = jax.export.maximum_supported_calling_convention_version
    return bool(lowest <= exported.calling_convention_version <= highest)


def unreadable_module_here(exported: jax.export.Exported) -> str | None:
    """Return why this jax may fail to read an intact module of another version, or None if it should read it.

    The version of StableHLO is apart from those of the artifact around the module: an operation may be newer.
    """
    version, own = _module_version(exported), _module_version(_own_export())
    if version is None or version == own:
        return None
    return f"was exported by another jax ({version}; jax {jax.__version__} here writes {own}); use the prover's jax"


def _module_version(exported: jax.export.Exported) -> str | None:
    found = _WRITER.match(bytes(exported.mlir_module_serialized[:80]))
    return found[1].decode() if found else None


@cache
def _own_version() -> FormatVersion | None:
    return read_version(bytes(_own_export().serialize()))


@cache
def _own_export() -> jax.export.Exported:
    return jax.export.export(jax.jit(lambda x: x))(jax.ShapeDtypeStruct((), np.float32))


def _field(artifact: bytes, table: int, directory: int, at: int) -> int:
    """Return a field of two bytes of the flatbuffer's table, whose directory (vtable) says where it lies."""
    # A directory has its own size, the size of the table, and then the place of each field: two bytes each.
    size, _, offset = (struct.unpack_from("<H", artifact, directory + place)[0] for place in (0, 2, 4 + 2 * at))
    # A field with its default value is left out.
    if size < 6 + 2 * at or not offset:
        return 0
    (number,) = struct.unpack_from("<H", artifact, table + offset)
    return int(number)
