"""Files are written so that a crash leaves the old content or the new one, and strangers' files are opened safely."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from pol_jax.errors import StorageError, UsageError, printable

_CAN_NOT_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
"""Some file systems, of networks, can't flush a directory, and a directory that may not be read can't be opened."""


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file ``path`` by ``content`` atomically.

    The content goes to a temporary file, which is flushed to the disk and then renamed: a crash at any moment leaves
    the old file or the new one, never a part of it. Once this returns it is the new one, after a power cut too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        flush_names(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def flush_names(folder: Path) -> None:
    """Flush the names in a directory to the disk: the files that they stand for may be there, and the names not."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno not in _CAN_NOT_FLUSH:
            raise


@contextmanager
def whole_file(out: Path) -> Iterator[BinaryIO]:
    """Open a new file that gets its name when it is whole, and vanishes on any error.

    Raises:
        UsageError: something is there already.
        StorageError: it can't be written.
    """
    with _named_when_whole(out, directory=False) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_directory(out: Path) -> Iterator[Path]:
    """Make a new directory that gets its name when it is whole, and vanishes on any error.

    Raises:
        UsageError: something is there already.
        StorageError: it can't be written.
    """
    with _named_when_whole(out, directory=True) as temporary:
        yield temporary


def refuse_existing(out: Path) -> None:
    """Refuse a path at which something is, and be it a link to nothing.

    Raises:
        UsageError: something is there.
    """
    if out.is_symlink() or out.exists():
        raise UsageError(f"{printable(str(out))}: is there already; nothing is overwritten, choose another name")


@contextmanager
def _named_when_whole(out: Path, *, directory: bool) -> Iterator[Path]:
    refuse_existing(out)
    where = printable(str(out))
    try:
        temporary = _temporary_beside(out, directory)
    except OSError as error:
        raise StorageError(f"{where}: can't be written: {error.strerror}") from error
    try:
        yield temporary
        # Asked again: to make it takes long, and somebody may have taken this name meanwhile.
        refuse_existing(out)
        temporary.replace(out)
        flush_names(out.parent)
    except OSError as error:
        raise StorageError(f"{where}: can't be written: {error.strerror}; nothing is left of it") from error
    finally:
        if directory:
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _temporary_beside(out: Path, directory: bool) -> Path:
    # In the same directory, since what lies in another file system can't be renamed in one go.
    prefix, suffix = f".{out.name}.", ".partial"
    if directory:
        return Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=out.parent))
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=out.parent)
    os.close(descriptor)
    return Path(name)


def as_path(path: Any) -> Path:
    """Return what a caller gave as a path.

    Raises:
        UsageError: it is no text and no `Path`, such as bytes.
    """
    try:
        return Path(path)
    except TypeError:
        cure = "; os.fsdecode(path) makes a text of it" if isinstance(path, bytes) else ""
        raise UsageError(f"path: expected a text or a pathlib.Path, got {type(path).__name__}{cure}") from None


def open_plain(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a plain file of anybody's for reading: a pipe or device that stands in its place can't hold this process.

    Args:
        path: of the file.
        follow: whether the path may be a link, as one may be that the user named.

    Raises:
        OSError: it can't be opened, or is no plain file.
    """
    # To open a pipe that nobody writes to would wait for ever, and a link may lead anywhere.
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "no plain file", str(path))
    return file


def read_own_file(path: Path, most: int, expected: str = "") -> bytes:
    """Return the content of a file that the user named, which may be a link or a pipe.

    Args:
        path: of the file.
        most: how many bytes it may have.
        expected: what a larger file should have been, for the text of the error.

    Raises:
        UsageError: it can't be read, or is larger.
    """
    content = read_beginning(path, most + 1)
    if len(content) > most:
        cure = f"; expected {expected}" if expected else ""
        raise UsageError(f"{printable(str(path))}: has more than {most} bytes{cure}")
    return content


def read_beginning(path: Path, most: int) -> bytes:
    """Return the first ``most`` bytes of a file that the user named, or all, where it has fewer.

    Raises:
        UsageError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise UsageError(f"{printable(str(path))}: can't be read: {error.strerror}") from error


def local_path(path: Path | str) -> Path:
    """Return a path of this machine's own file system.

    Raises:
        UsageError: it is no path, or it is the address of an object store, of which `Path` would make a directory
            called ``gs:``.
    """
    if found := re.match(r"([a-z][a-z0-9+.-]*):/", str(path), re.ASCII | re.IGNORECASE):
        raise UsageError(
            f"{path}: is an address ({found[1]}://), and a proof needs a directory: train into one that is mounted"
            " (NFS, gcsfuse), or copy the finished proof to the object store"
        )
    return as_path(path)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold a directory for this process alone; the directory is made if it does not exist.

    If what is done with it fails before anything is written, the directories that were made are removed.

    Raises:
        StorageError: another process holds the directory, or it can't be made.
    """
    with storing(root):
        if not root.is_dir() and (root.exists() or root.is_symlink()):
            raise StorageError(f"{root}: is no directory; choose another path")
        made = [folder for folder in (root, *root.parents) if not folder.exists()]
        root.mkdir(parents=True, exist_ok=True)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # The lock is on the directory itself: a lock file would lie in the proof, and stay behind after a crash.
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(
                f"{root}: is in use by another process; wait for it, or choose another directory"
            ) from None
        try:
            yield
        except BaseException:
            with suppress(OSError):  # one of them is not empty
                # Innermost first; one that has got a file meanwhile stays, and so do those above it.
                for empty in made:
                    empty.rmdir()
            raise
    finally:
        os.close(folder)


@contextmanager
def storing(root: Path) -> Iterator[None]:
    """Turn errors of the operating system while writing below ``root`` into a `StorageError` of one line."""
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise StorageError(
            f"{where}: can't be written: {error.strerror or error}; what was written before stays usable"
        ) from error


def user_cache() -> Path:
    """Return the directory for files that can be made again: ``$XDG_CACHE_HOME/pol_jax``, else ``~/.cache/pol_jax``.

    Raises:
        StorageError: there is no home directory.
    """
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "pol_jax"
    try:
        return Path.home() / ".cache" / "pol_jax"
    except RuntimeError as error:
        raise StorageError("there is no home directory for a cache; set XDG_CACHE_HOME to a directory") from error
