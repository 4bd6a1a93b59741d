"""The list of a finished proof's files, with sizes and digests: covers bytes, where the claim covers meanings.

Equal states give unequal Orbax files, so that the inventory of two equal runs differs, and their claim does not.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import HexDigest, decode

FILE: Final = "inventory.json"


_NAMES: Final = re.compile(
    r"(commitment\.json|claim\.json|inventory\.json|records|program/(init|step)\.jax_export"
    r"|ledger/\d{10}\.parquet|checkpoints/\d{10}(/[\w.%-]{1,128}){1,8})\Z",
    re.ASCII,
)

_FOLDERS: Final = re.compile(r"(program|ledger|checkpoints(/\d{10}(/[\w.%-]{1,128}){0,7})?)\Z", re.ASCII)


def is_file_name(name: str) -> bool:
    """Whether a file of a finished proof may have this path."""
    return _NAMES.match(name) is not None


def is_folder_name(name: str) -> bool:
    """Whether a directory inside a finished proof may have this path."""
    return _FOLDERS.match(name) is not None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: size in bytes, digest."""

    size: Annotated[int, msgspec.Meta(ge=0)]
    digest: HexDigest


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document: every file of the proof but this one, by path."""

    format: Literal["pol-jax/1"]
    files: dict[str, Entry]

    @classmethod
    def parse(cls, content: bytes) -> Inventory:
        """The inventory in ``content``; only names that a proof's files may have.

        Raises:
            ProofError: names the field.
        """
        found = decode(content, cls, FILE)
        for name in found.files:
            if not is_file_name(name) or name == FILE:
                raise ProofError(FILE, f"files: {name[:80]!r} has no place in an inventory")
        return found
