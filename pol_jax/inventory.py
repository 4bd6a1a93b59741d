"""The list of a finished proof's files, with sizes and digests: covers bytes, where the claim covers meanings.

Equal states give unequal Orbax files, so that the inventory of two equal runs differs, and their claim does not.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

import msgspec

from pol_jax.documents import HexDigest, decode, encode
from pol_jax.encoding import FORMAT, file_digest
from pol_jax.errors import ProofError, unreadable

FILE: Final = "inventory.json"

_CHUNK: Final = 2**24


@dataclass(frozen=True)
class Limits:
    """What a verifier is willing to read. Set by the verifier, never by the proof.

    Attributes:
        document_bytes: a JSON document.
        program_bytes: one exported program.
        records_bytes: the file of record digests.
        segment_bytes: one segment of the ledger.
        total_bytes: all files.
        files: how many of them, directories included.
        state_bytes: one state, in memory.
        steps: of the run; each costs memory for its digest.
        opening_bytes: an opening.
        constant_bytes: values that are written down in the two programs together, see `constants`.
    """

    document_bytes: int = 2**24
    program_bytes: int = 2**28
    records_bytes: int = 2**32
    segment_bytes: int = 2**30
    total_bytes: int = 2**42
    files: int = 10_000_000
    state_bytes: int = 2**36
    steps: int = 2**26
    opening_bytes: int = 2**36
    constant_bytes: int = 2**14

    def of(self, name: str) -> int:
        """The most bytes that the file ``name`` may have."""
        if name.endswith(".json") and "/" not in name:
            return self.document_bytes
        by_folder = {"program": self.program_bytes, "ledger": self.segment_bytes, "records": self.records_bytes}
        return by_folder.get(name.split("/")[0], self.total_bytes)

    def constants(self, state_bytes: int) -> int:
        """The most bytes of constants in programs that work on a state of ``state_bytes``.

        Weights could be hidden there. 16 KiB are four times what the built-in tasks have, and a mean image of 32 by 32
        or a table of 4,096 learning rates; a program grows with its model, but 1% of a state is no model.
        """
        return max(self.constant_bytes, state_bytes // 100)


_NAMES: Final = re.compile(
    r"(commitment\.json|claim\.json|inventory\.json|records|program/(init|step)\.jax_export"
    r"|ledger/\d{10}\.parquet|checkpoints/\d{10}(/[\w.%-]{1,128}){1,8})\Z",
    re.ASCII,
)

_FOLDERS: Final = re.compile(r"(program|ledger|checkpoints(/\d{10}(/[\w.%-]{1,128}){0,7})?)\Z", re.ASCII)


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
            if not _NAMES.match(name) or name == FILE:
                raise ProofError(FILE, f"files: {name[:80]!r} has no place in an inventory")
        return found


def scan(root: Path, limits: Limits) -> dict[str, int]:
    """Every file of a proof's directory, with its size; nothing is opened.

    Raises:
        ProofError: a name that has no place in a proof, a link or device, a file or a total beyond ``limits``.
    """
    found: dict[str, int] = {}
    total = seen = 0
    for folder, folders, files in os.walk(root, onerror=_refuse, followlinks=False):
        for name in sorted(folders + files):
            path = Path(folder, name)
            where, status = path.relative_to(root).as_posix(), path.lstat()
            _check_name(where, status, limits)
            if stat.S_ISREG(status.st_mode):
                found[where] = status.st_size
                total += status.st_size
            seen += 1
            if seen > limits.files or total > limits.total_bytes:
                raise ProofError(where, "is beyond the limits on the number of files or their total size")
    return found


def take_inventory(root: Path, limits: Limits) -> bytes:
    """The inventory of the files that are there, as a canonical document."""
    sizes = scan(root, limits)
    sizes.pop(FILE, None)
    entries = {name: Entry(size, _digest(root, name)) for name, size in sorted(sizes.items())}
    return encode(Inventory(format=FORMAT, files=entries))


def check_inventory(root: Path, content: bytes, sizes: Mapping[str, int]) -> None:
    """Compare the files with the inventory in ``content``; sizes first, then bytes.

    Args:
        root: the proof's directory.
        content: of the inventory.
        sizes: as `scan` gave them.

    Raises:
        ProofError: names the first file that is missing, extra or changed.
    """
    listed = Inventory.parse(content).files
    there = sizes.keys() - {FILE}
    for name in sorted(listed.keys() - there):
        raise ProofError(name, "is missing; the inventory lists it")
    for name in sorted(there - listed.keys()):
        raise ProofError(name, "is not in the inventory")
    for name, entry in sorted(listed.items()):
        if sizes[name] != entry.size:
            raise ProofError(name, f"has {sizes[name]} bytes, the inventory says {entry.size}")
    for name, entry in sorted(listed.items()):
        if _digest(root, name) != entry.digest:
            raise ProofError(name, "differs from the inventory's digest")


def read_bounded(root: Path, name: str, limits: Limits) -> bytes:
    """The content of one file, if it is a plain file within ``limits``.

    Raises:
        ProofError: missing, a link, too large, unreadable.
    """
    try:
        with _open(root, name) as file:
            size = os.fstat(file.fileno()).st_size  # a buffer of the limit would be taken at once
            content = file.read(min(size, limits.of(name)) + 1)
    except FileNotFoundError:
        raise ProofError(name, "is missing") from None
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error
    if len(content) > limits.of(name):
        raise ProofError(name, f"has more than {limits.of(name)} bytes")
    return content


def _check_name(where: str, status: os.stat_result, limits: Limits) -> None:
    if stat.S_ISDIR(status.st_mode):
        if not _FOLDERS.match(where):
            raise ProofError(where, "is no directory of a proof; expected only those that docs/protocol.md lists")
        return
    if not stat.S_ISREG(status.st_mode):
        raise ProofError(where, "is no plain file; links and devices have no place in a proof")
    if not _NAMES.match(where):
        raise ProofError(where, "is no file of a proof; expected only the names that docs/protocol.md lists")
    if status.st_size > limits.of(where):
        raise ProofError(where, f"has {status.st_size} bytes, more than the limit of {limits.of(where)}")


def _digest(root: Path, name: str) -> str:
    try:
        with _open(root, name) as file:
            return file_digest(iter(lambda: file.read(_CHUNK), b"")).hex()
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error


def _open(root: Path, name: str) -> BinaryIO:
    """Open a plain file for reading; a link, a directory or a pipe is an error, and doesn't block."""
    file = os.fdopen(os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no plain file", name)
    return file


def _refuse(error: OSError) -> None:
    raise unreadable(Path(error.filename).name, f"can't be read: {error.strerror}", error)
