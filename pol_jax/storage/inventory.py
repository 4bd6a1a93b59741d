"""The files of a proof are listed, digested, and compared with the inventory (sections 2.3 and 11)."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pol_jax.errors import ProofError, UsageError, unreadable
from pol_jax.files import open_plain
from pol_jax.progress import Progress, Silent, tracked
from pol_jax.protocol import claim
from pol_jax.protocol.documents import encode
from pol_jax.protocol.encoding import FORMAT, Format, file_digest
from pol_jax.protocol.inventory import FILE, Entry, Inventory, is_beside, is_file_name, is_folder_name, twins
from pol_jax.protocol.limits import Limits

_CHUNK: Final = 2**24
"""This many bytes of a file are in memory while it is digested."""


def list_files(root: Path, limits: Limits, below: str = "") -> dict[str, int]:
    """Return every file of a proof's directory, or of a folder in it, with its size; no file is opened.

    Raises:
        ProofError: a name has no place in a proof, a file is a link or a device, or the files are beyond ``limits``.
    """
    found: dict[str, int] = {}
    total = seen = 0
    for folder, folders, files in os.walk(root / below, onerror=_refuse, followlinks=False):
        inside = Path(folder).relative_to(root)
        # In place, since `os.walk` goes on into the directories that are left in this list.
        folders[:] = [name for name in folders if not is_beside((inside / name).as_posix())]
        files = [name for name in files if not is_beside((inside / name).as_posix())]
        # Where names ignore the case of letters, only one of the two could exist, and the proof would be another one.
        if pair := twins(sorted(folders + files)):
            raise ProofError((inside / pair[0]).as_posix(), f"equals {pair[1]!r} but for the case of letters")
        for name in sorted(folders + files):
            path = Path(folder, name)
            # lstat: a link is looked at itself, and never at what it names.
            where, status = path.relative_to(root).as_posix(), path.lstat()
            _check_name(where, status, limits)
            if stat.S_ISREG(status.st_mode):
                found[where] = status.st_size
                total += status.st_size
            seen += 1
            if seen > limits.files or total > limits.total_bytes:
                raise ProofError(where, "is beyond the limits on the number of files or their total size")
    return found


def take_inventory(root: Path, limits: Limits, version: Format = FORMAT) -> bytes:
    """Return the inventory of the existing files, as a canonical document of the proof's version."""
    sizes = list_files(root, limits)
    sizes.pop(FILE, None)
    entries = {name: Entry(size, _digest(root, name)) for name, size in sorted(sizes.items())}
    return encode(Inventory(format=version, files=entries))


def check_inventory(
    root: Path, content: bytes, sizes: Mapping[str, int], progress: Progress | None = None
) -> Inventory:
    """Return the inventory in ``content``, after comparing the files with it: first their sizes, then their bytes.

    Args:
        root: the proof's directory.
        content: the bytes of the inventory.
        sizes: the size of each file, as `list_files` returns them.
        progress: told of the files.

    Raises:
        ProofError: a file is missing, extra or changed; the text names the first one.
    """
    inventory = Inventory.parse(content)
    listed = inventory.files
    existing = sizes.keys() - {FILE}
    for name in sorted(listed.keys() - existing):
        raise ProofError(name, "is missing; the inventory lists it")
    for name in sorted(existing - listed.keys()):
        raise ProofError(name, "is not in the inventory")
    for name, entry in sorted(listed.items()):  # sizes first: digests of large files take time
        if sizes[name] != entry.size:
            raise ProofError(name, f"has {sizes[name]} bytes, the inventory says {entry.size}")
    for name, entry in tracked(progress or Silent(), "digesting files", sorted(listed.items()), len(listed)):
        if _digest(root, name) != entry.digest:
            raise ProofError(name, "differs from the inventory's digest")
    return inventory


def read_bounded(root: Path, name: str, limits: Limits) -> bytes:
    """Return the content of one file, if it is a plain file within ``limits``.

    Raises:
        ProofError: the file is missing, is a link, is too large or can't be read.
    """
    try:
        with open_plain(root / name) as file:
            size = os.fstat(file.fileno()).st_size  # reading up to the limit would allocate all of it at once
            # One byte more than there was: a file that grows meanwhile is noticed.
            content = file.read(size + 1) if size <= limits.file_bytes(name) else None
    except FileNotFoundError:
        raise ProofError(name, "is missing") from None
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error
    if content is None or len(content) > limits.file_bytes(name):
        raise ProofError(name, f"has more than {limits.file_bytes(name)} bytes")
    return content


def find_claim(path: Path) -> Path:
    """Return the file of a claim: ``path``, or the one in the directory ``path``.

    Raises:
        UsageError: there is no such file.
    """
    where = path / claim.FILE if path.is_dir() else path
    if not where.is_file():
        raise UsageError(f"{where}: there is no claim here; expected a claim.json, or a directory that has one")
    return where


def _check_name(where: str, status: os.stat_result, limits: Limits) -> None:
    if stat.S_ISDIR(status.st_mode):
        if not is_folder_name(where):
            raise ProofError(where, "is no directory of a proof; expected only those that docs/protocol.md lists")
        return
    if not stat.S_ISREG(status.st_mode):
        raise ProofError(where, "is no plain file; links and devices have no place in a proof")
    if not is_file_name(where):
        raise ProofError(where, "is no file of a proof; expected only the names that docs/protocol.md lists")
    if status.st_size > limits.file_bytes(where):
        raise ProofError(where, f"has {status.st_size} bytes, more than the limit of {limits.file_bytes(where)}")


def _digest(root: Path, name: str) -> str:
    try:
        with open_plain(root / name) as file:
            return file_digest(iter(lambda: file.read(_CHUNK), b"")).hex()
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error


def _refuse(error: OSError) -> None:
    raise unreadable(Path(error.filename).name, f"can't be read: {error.strerror}", error)
