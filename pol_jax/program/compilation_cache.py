"""Where compiled programs are kept between verifications: jax's persistent compilation cache, in the user's own folder.

Never in a proof. `JAX_COMPILATION_CACHE_DIR` moves it, `JAX_ENABLE_COMPILATION_CACHE=false` switches it off. What lies
there runs as it is: it is trusted as installed packages are.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from pol_jax.errors import StorageError
from pol_jax.files import user_cache
from pol_jax.program.machine import describe_processors
from pol_jax.protocol.encoding import artifact_digest

MOST_BYTES: Final = 2**30
"""Beyond this the oldest half of the files is removed."""

_OFF: Final = {"0", "false", "no", "off", "f", "n"}

_SETTINGS: Final = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",  # an autotuner's memory would be another input of compilation
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS": "false",
}


def cache_settings() -> dict[str, str]:
    """Environment variables by which a process keeps what it compiles; none, if there is nowhere to keep it."""
    if os.environ.get("JAX_ENABLE_COMPILATION_CACHE", "").lower() in _OFF:
        return {}
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = _chosen_folder(given) if given else _own_folder()
    return {"JAX_COMPILATION_CACHE_DIR": folder, **_SETTINGS} if folder else {}


def _chosen_folder(given: str) -> str:
    """A folder of the user's choice, as jax itself would use it."""
    if "://" in given:
        return given
    with suppress(OSError):  # jax goes on without
        Path(given).mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.path.abspath(given)


def _own_folder() -> str | None:
    """The folder for this machine's processors, made if need be; None if it can't be, or others may write there.

    XLA compiles for processors by kind and number, and jax's keys don't tell all of that.
    """
    kind = artifact_digest("processors", describe_processors().encode()).hex()[:16]
    try:
        root = user_cache() / "compiled"
        folder = root / kind
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = root.stat()
    except (OSError, StorageError):  # no home, no space, no permission
        return None
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    with suppress(OSError):
        prune(root, MOST_BYTES)
    return str(folder)


def prune(root: Path, most: int) -> None:
    """If the files under ``root`` have more than ``most`` bytes in all, remove the oldest, down to half of that."""
    files = [(path, path.stat()) for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    total = sum(status.st_size for _, status in files)
    if total <= most:
        return
    for path, status in sorted(files, key=lambda file: file[1].st_mtime):
        if total > most // 2:
            path.unlink(missing_ok=True)
            total -= status.st_size
