"""Commands write small files that are new, whole or not at all; in a proof's directory only to its attestations."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pol_jax.attesting.folder import DIRECTORY
from pol_jax.errors import StorageError, UsageError, printable
from pol_jax.files import write_whole


def proof_around(envelope: Path) -> Path | None:
    """Return the directory of the proof or bundle in whose attestations a file lies, or None if it lies elsewhere."""
    beside = envelope.absolute().parent
    is_there = beside.name == DIRECTORY and (beside.parent / "commitment.json").is_file()
    return beside.parent if is_there else None


def check_new(path: Path, *, attestation: bool = False) -> None:
    """Refuse to write where something is, or in the directory of a proof, which takes no other files.

    Args:
        path: the file or directory to make.
        attestation: whether it may lie in a proof's attestations; a secret must not, they are for others.

    Raises:
        UsageError: ``path`` is such a place.
    """
    where = printable(str(path))
    if path.exists() or path.is_symlink():
        raise UsageError(f"{where}: exists already; choose another name")
    for folder in path.absolute().parents:
        if attestation and proof_around(path) == folder:
            continue
        if (folder / "commitment.json").exists() and (folder / "program").is_dir():
            raise UsageError(
                f"{where}: lies in the directory of a proof, which takes no other files; choose a place outside"
            )


def check_writable(path: Path) -> None:
    """Check that a file can be written, before the work whose result it shall have; an existing one is not changed.

    Raises:
        StorageError: it can't be written.
    """
    try:
        existed = path.exists() or path.is_symlink()
        # To append: what the file holds stays, in case there will be no result.
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be written: {error.strerror}") from error


def write_new(path: Path, content: bytes, *, attestation: bool = False) -> None:
    """Write a file that is new; arguments are those of `check_new`.

    Raises:
        UsageError: see `check_new`.
        StorageError: it can't be written.
    """
    check_new(path, attestation=attestation)
    write_output(path, content)


def write_output(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, in the place of an earlier one if there is one.

    Raises:
        StorageError: it can't be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"{printable(str(path))}: can't be written: {error.strerror}") from error


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Make a directory that has its name only when it is whole; what an error leaves is removed.

    Raises:
        StorageError: it can't be written.
    """
    # A name of its own: what a call leaves that is killed must not stand in the way of the next one.
    where, partial = printable(str(path)), path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        partial.mkdir(parents=True)
        try:
            yield partial
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{where}: can't be written: {error.strerror}") from error
