"""Writing files so that a crash leaves the old content or the new, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pol_jax.errors import StorageError


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file, to the disk, then under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold a directory for this process, without a file of its own; made if it is not there.

    Raises:
        StorageError: another process holds it, or it can't be made.
    """
    with storing(root):
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StorageError(f"{root}: in use by another process; wait for it, or choose another directory") from None
    finally:
        os.close(folder)


@contextmanager
def storing(root: Path) -> Iterator[None]:
    """Turn the system's errors into one line about ``root``."""
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise StorageError(
            f"{where}: can't be written: {error.strerror or error}; what is there stays usable"
        ) from error


def user_cache() -> Path:
    """Where pol_jax keeps what it can make again: ``$XDG_CACHE_HOME/pol_jax``, else ``~/.cache/pol_jax``.

    Raises:
        StorageError: there is no home directory.
    """
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "pol_jax"
    try:
        return Path.home() / ".cache" / "pol_jax"
    except RuntimeError as error:
        raise StorageError("no home directory to keep a cache in; set XDG_CACHE_HOME to a writable one") from error
