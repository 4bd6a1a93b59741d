"""An inventory lists the files of a finished proof, with sizes and digests (docs/protocol.md, sections 2.3 and 11).

It covers bytes, where the claim covers meanings: Orbax saves equal states in files that differ, so that two equal runs
have the same claim and different inventories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import HexDigest, decode, encode
from pol_jax.protocol.encoding import FORMAT, FORMAT_1, Digest, Format, document_digest

FILE: Final = "inventory.json"


# Only ASCII: other alphabets have letters that look the same, and some file systems change their encoding.
# Neither `.` nor `..`: such a name would lead to another place than the one that is checked.
_NAME: Final = r"(?!\.{1,2}(?:/|\Z))[\w.%-]{1,128}"
_NAMES: Final = re.compile(
    r"(commitment\.json|claim\.json|inventory\.json|records|program/(init|step)\.jax_export"
    rf"|ledger/\d{{10}}\.parquet|(checkpoints|interventions)/\d{{10}}(/{_NAME}){{1,8}})\Z",
    re.ASCII,
)

_FOLDERS: Final = re.compile(rf"(program|ledger|(checkpoints|interventions)(/\d{{10}}(/{_NAME}){{0,7}})?)\Z", re.ASCII)

# Nothing reads these, so they can hide nothing; refusing them would refuse every proof that lies in a repository.
_BESIDE: Final = frozenset(
    {
        *("README.md", "LICENSE", ".gitattributes", ".gitignore", "model.sig"),
        *(".git", ".cache", "signatures", "attestations"),
    }
)
_ANYWHERE: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def is_beside(name: str) -> bool:
    """Return whether a file or directory of this path may lie beside the files of a proof.

    Repositories, file managers and signers add them. They are no part of the proof, and nothing reads them.
    """
    return name in _BESIDE or name.rpartition("/")[2] in _ANYWHERE


def twins(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that are equal but for the case of letters, or None: some systems have only one of them."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            return seen[name.lower()], name
        seen[name.lower()] = name
    return None


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

    format: Format
    files: dict[str, Entry]

    def digest(self) -> Digest | None:
        """Return the digest of the canonical document, by which the bytes of a proof are cited; version 1 has none."""
        return None if self.format == FORMAT_1 else document_digest("inventory", encode(self), FORMAT)

    @classmethod
    def parse(cls, content: bytes) -> Inventory:
        """Return the inventory that ``content`` holds; every name in it is one that a file of a proof may have.

        Raises:
            ProofError: ``content`` is no inventory; the text names the field.
        """
        inventory = decode(content, cls, FILE)
        for name in inventory.files:
            if not is_file_name(name) or is_beside(name) or name == FILE:
                raise ProofError(FILE, f"files: {name[:80]!r} has no place in an inventory")
        if pair := twins(inventory.files):
            raise ProofError(
                FILE, f"files: {pair[0][:80]!r} and {pair[1][:80]!r} are equal but for the case of letters"
            )
        return inventory
