"""Openings are read within limits, and written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from pol_jax.errors import ProofError, UsageError, unreadable
from pol_jax.files import storing, write_whole
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening, commitment_at_the_head, parse_opening

_HEAD_BYTES: Final = 2**8
"""An opening has fewer bytes than this before those of its commitment."""


def read_opening(path: Path, limits: Limits) -> Opening:
    """Return the opening in a file. Law: what `write_opening` writes is read as the same opening.

    Raises:
        UsageError: there is no such file.
        ProofError: the file is no opening, larger than ``limits``, or not in the one canonical form of an opening.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size  # a sparse file takes no room on a disk, and all of it in memory
        # One byte more than there was: a file that grows meanwhile is noticed.
        content = file.read(size + 1) if size <= limits.opening_bytes else None
    if content is None or len(content) > limits.opening_bytes:
        raise ProofError(path.name, f"has more than {limits.opening_bytes} bytes")
    return parse_opening(content, path.name)


def read_commitment(path: Path, limits: Limits) -> bytes | None:
    """Return the commitment at the head of an opening, or None if it is not there; for errors see `read_opening`."""
    most = limits.document_bytes + _HEAD_BYTES
    with _opened(path) as file:
        return commitment_at_the_head(file.read(min(os.fstat(file.fileno()).st_size, most)))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file; for errors see `read_opening`."""
    try:
        # O_NONBLOCK: to open a pipe that nobody writes to would wait for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{path}: is no plain file; expected an opening")
            yield file
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; expected an opening") from None
    except OSError as error:
        raise unreadable(path.name, f"can't be read: {error.strerror}", error) from error


def write_opening(path: Path, opening: Opening) -> None:
    """Write an opening whole, or not at all.

    Raises:
        StorageError: the file can't be written.
    """
    with storing(path):
        write_whole(path, opening.encode())
