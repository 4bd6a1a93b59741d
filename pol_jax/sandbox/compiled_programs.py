"""Compiled programs are kept between verifications, so that XLA need not compile them again.

What lies in a compilation cache runs as it is. A confined process that a hostile proof has taken over could leave a
false program there, and the next verification would accept a forgery bit for bit. So the process writes to a folder
of its own, and the caller takes over what it made, in its own store and never in the user's cache of jax:

- only after a clean end;
- under a key over everything hostile that the process read (`reading_key`), so that what one proof left is met by no
  other, and over this verifier's version and processors;
- with a manifest under a key that the process can't read.

A cache that the user names for all of jax's programs (``JAX_COMPILATION_CACHE_DIR``) is read
(`pol_jax.sandbox.cache_lookup`), and never written to.
``JAX_ENABLE_COMPILATION_CACHE=false`` switches all of it off.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from pol_jax.errors import StorageError
from pol_jax.files import open_plain, user_cache, write_whole
from pol_jax.program.machine import describe_processors
from pol_jax.protocol import claim as claims
from pol_jax.protocol import inventory
from pol_jax.protocol.encoding import artifact_digest, file_digest
from pol_jax.sandbox.bounds import FILE_BYTES
from pol_jax.sandbox.cache_lookup import READ_ALSO

MOST_BYTES: Final = 2**30
"""The store may have this many bytes; beyond them the oldest half is removed."""

_MOST_FILES: Final = 64
"""This many files are taken over from one verification: a program is compiled in a few ways."""

_CHUNK: Final = 2**24

_MOST_READ: Final = 2**32
"""A file of more bytes is not digested for its key: to read it would take longer than to compile."""

_NAME: Final = re.compile(r"[\w.-]{1,200}-cache\Z", re.ASCII)
_MANIFEST: Final = "manifest"
_SECRET: Final = "secret"  # noqa: S105  # the name of a file
_SECRET_BYTES: Final = 32
_OFF: Final = {"0", "false", "no", "off", "f", "n"}

_SETTINGS: Final = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",  # an autotuner's memory would be another input of compilation
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS": "false",
}


def cache_settings(folder: Path) -> dict[str, str]:
    """Return the environment variables by which a process keeps what it compiles in ``folder``; none if switched off.

    Without them jax would use what the user has set, so a cache that is switched off is named as empty.
    """
    if os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in _OFF:
        return {}
    given = given_cache()
    also = {READ_ALSO: str(given)} if given else {}
    return {"JAX_COMPILATION_CACHE_DIR": str(folder), **_SETTINGS, **also}


def given_cache() -> Path | None:
    """Return the user's own cache of jax's programs, which a confined process may read; None if there is none here."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    return Path(given).absolute() if given and "://" not in given and os.path.isdir(given) else None


def read_files(readable: Iterable[str]) -> list[Path]:
    """Return the files that decide all that a process will read, of what it may read: proofs, claims, openings."""
    paths = [Path(path) for path in readable]
    named = ((path / claims.FILE, path / inventory.FILE) if path.is_dir() else (path,) for path in paths)
    return [file for files in named for file in files]


def reading_key(files: Iterable[Path]) -> bytes | None:
    """Return a digest over files that decide all that a process will read; None if one of them can't be read.

    For a proof these are its claim and its inventory, which has the digests of all other files: what does not agree
    with it is refused before a native library reads it (stage 2). For an opening it is the file itself. Nothing was
    checked yet, and no time bounds this process: pipes, devices and huge files have no key, and nothing is kept.
    """
    try:
        return artifact_digest("what was read", b"".join(file_digest(_chunks(path)) for path in files))
    except OSError:
        return None


def provide(folder: Path, key: bytes | None) -> None:
    """Make ``folder``, with what was kept under ``key``; whatever can't be read is compiled again."""
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    store = _store()
    if store is None or key is None:
        return
    # The place is a keyed digest: a process that can write files can not tell where another proof looks.
    kept = store / _place(store, key)
    for name, digest in _read_manifest(kept, store, key).items():
        with suppress(OSError):
            content = (kept / name).read_bytes()
            if file_digest([content]).hex() == digest:
                (folder / name).write_bytes(content)


def keep(folder: Path, key: bytes | None) -> None:
    """Copy what a process that ended well compiled into ``folder`` to the store, for the next one with this key."""
    store = _store()
    if store is None or key is None:
        return
    place, entries = store / _place(store, key), dict[str, str]()
    with suppress(OSError):
        place.mkdir(mode=0o700, exist_ok=True)
        # Twice as many: where a cache is bounded, jax writes beside each program when it was last used.
        for path in sorted(folder.iterdir())[: 2 * _MOST_FILES]:
            content = _plain_content(path)
            # The folder was written by a process that read a hostile proof: links, pipes and odd names are left there.
            if content is None or not _NAME.match(path.name) or len(entries) == _MOST_FILES:
                continue
            write_whole(place / path.name, content)
            entries[path.name] = file_digest([content]).hex()
        listed = msgspec.json.encode(entries)
        write_whole(place / _MANIFEST, _seal(store, key, listed).encode() + b"\n" + listed)
        prune(store, MOST_BYTES)


def prune(root: Path, most: int) -> None:
    """Remove the oldest files under ``root`` if all of them have more than ``most`` bytes, down to half of that."""
    files = [(path, path.stat()) for path in root.rglob("*-cache") if path.is_file() and not path.is_symlink()]
    total = sum(status.st_size for _, status in files)
    if total <= most:
        return
    for path, status in sorted(files, key=lambda file: file[1].st_mtime):
        if total > most // 2:
            path.unlink(missing_ok=True)
            total -= status.st_size


def _store() -> Path | None:
    """Return the caller's own folder for this machine's processors, made if need be, with a secret.

    None if there can be none, or others may write there.

    XLA compiles for processors by kind and number, and jax's keys don't tell all of that.
    """
    if os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in _OFF:
        return None
    kind = artifact_digest("processors", f"{version('pol_jax')} {describe_processors()}".encode()).hex()[:16]
    try:
        root = user_cache() / "compiled"
        folder = root / kind
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = root.stat()
    except (OSError, StorageError):  # no home, no space, no permission
        return None
    # Whoever could write here could leave programs that then run as this user.
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    try:
        _make_secret(folder)
    except OSError:  # no space
        return None
    return folder


def _make_secret(store: Path) -> None:
    """Make the store's secret, if it has none, or one that a crash cut off: an empty one would be known to anybody.

    It has its name only when it is whole, since other processes read it. Of two that make one, the later one's holds,
    and what the earlier one keeps is compiled again.
    """
    path = store / _SECRET
    if path.is_file() and path.stat().st_size == _SECRET_BYTES:
        return
    temporary = store / f"{_SECRET}.{secrets.token_hex(8)}.tmp"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as new:
            new.write(secrets.token_bytes(_SECRET_BYTES))
            new.flush()
            os.fsync(new.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _secret(store: Path) -> bytes:
    return (store / _SECRET).read_bytes()


def _place(store: Path, key: bytes) -> str:
    return artifact_digest("place of compiled programs", _secret(store) + key).hex()[:32]


def _seal(store: Path, key: bytes, listed: bytes) -> str:
    return artifact_digest("compiled programs", _secret(store) + key + listed).hex()


def _read_manifest(kept: Path, store: Path, key: bytes) -> dict[str, str]:
    """Return names and digests of what was kept; nothing where that can't be authenticated."""
    try:
        seal, _, listed = (kept / _MANIFEST).read_bytes().partition(b"\n")
        # Only this store can have sealed the list: a process that can write here can not make one.
        if not secrets.compare_digest(seal, _seal(store, key, listed).encode()):
            return {}
        entries = msgspec.json.decode(listed, type=dict[str, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {name: digest for name, digest in entries.items() if _NAME.match(name)}


def _plain_content(path: Path) -> bytes | None:
    """Return the content of a plain file of bounded size; None for links, folders, pipes and larger files."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # a link, for example
        return None
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES:
        os.close(file)
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(FILE_BYTES)


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the content of a plain file of bounded size.

    Raises:
        OSError: it is none, can't be read, or grows while it is read.
    """
    with open_plain(path, follow=True) as file:
        if os.fstat(file.fileno()).st_size > _MOST_READ:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        while chunk := file.read(_CHUNK):
            if file.tell() > _MOST_READ:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            yield chunk
