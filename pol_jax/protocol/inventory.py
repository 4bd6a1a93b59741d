"""An inventory lists the files of a finished proof, with sizes and digests (docs/protocol.md, sections 2.3 and 11).

It covers bytes, where the claim covers meanings: Orbax saves equal states in files that differ, so that two equal runs
have the same claim and different inventories.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import HexDigest, decode

FILE: Final = "inventory.json"


# Only ASCII: other alphabets have letters that look the same, and some file systems change their encoding.
_NAMES: Final = re.compile(
    r"(commitment\.json|claim\.json|inventory\.json|records|program/(init|step)\.jax_export"
    r"|ledger/\d{10}\.parquet|checkpoints/\d{10}(/[\w.%-]{1,128}){1,8})\Z",
    re.ASCII,
)

_FOLDERS: Final = re.compile(r"(program|ledger|checkpoints(/\d{10}(/[\w.%-]{1,128}){0,7})?)\Z", re.ASCII)


def is_file_name(name: str) -> bool:
    """Return whether a file of a finished proof may have this path."""
    return _NAMES.match(name) is not None


def is_folder_name(name: str) -> bool:
    """Return whether a directory inside a finished proof may have this path."""
    return _FOLDERS.match(name) is not None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry holds the size of one file in bytes, and its digest."""

    size: Annotated[int, msgspec.Meta(ge=0)]
    digest: HexDigest


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An inventory is the document ``inventory.json``: every file of the proof but itself, by path."""

    format: Literal["pol-jax/1"]
    files: dict[str, Entry]

    @classmethod
    def parse(cls, content: bytes) -> Inventory:
        """Return the inventory that ``content`` holds; every name in it is one that a file of a proof may have.

        Raises:
            ProofError: ``content`` is no inventory; the text names the field.
        """
        inventory = decode(content, cls, FILE)
        for name in inventory.files:
            if not is_file_name(name) or name == FILE:
                raise ProofError(FILE, f"files: {name[:80]!r} has no place in an inventory")
        return inventory
