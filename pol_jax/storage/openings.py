"""These functions read openings within limits, and write them whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pol_jax.errors import ProofError, UsageError, unreadable
from pol_jax.files import storing, write_whole
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening, parse_opening


def read_opening(path: Path, limits: Limits) -> Opening:
    """Return the opening in a file. Law: what `write_opening` writes is read as the same opening.

    Raises:
        UsageError: there is no such file.
        ProofError: the file is no opening, larger than ``limits``, or not in the one canonical form of an opening.
    """
    name = path.name
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path}: is no plain file; expected an opening")
            content = file.read(min(status.st_size, limits.opening_bytes) + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; expected an opening") from None
    except OSError as error:
        raise unreadable(name, f"can't be read: {error.strerror}", error) from error
    if len(content) > limits.opening_bytes:
        raise ProofError(name, f"has more than {limits.opening_bytes} bytes")
    return parse_opening(content, name)


def write_opening(path: Path, opening: Opening) -> None:
    """Write an opening whole, or not at all.

    Raises:
        StorageError: the file can't be written.
    """
    with storing(path):
        write_whole(path, opening.encode())
