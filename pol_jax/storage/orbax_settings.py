"""This project uses Orbax in one version, on some paths, and under fixed names (docs/protocol.md, appendix B)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pol_jax.errors import BackendError, UsageError, printable
from pol_jax.protocol.trees import StateSpec, split_pointer

version = cache(metadata.version)  # it reads files, and is asked for each checkpoint

ORBAX_VERSION: Final = ("0", "12")
"""This is the major and minor version of Orbax that was tried."""


def check_orbax() -> None:
    """Check that the installed Orbax is of a version that was tested (docs/protocol.md, appendix B).

    Another one may write and read other files: what it finds damaged says nothing of a checkpoint.

    Raises:
        BackendError: it is another one.
    """
    found = version("orbax-checkpoint")
    if tuple(found.split(".")[:2]) != ORBAX_VERSION:
        tested = ".".join(ORBAX_VERSION)
        raise BackendError(f"orbax-checkpoint {found} is installed, expected {tested}.*; install that version")


def check_place(root: Path) -> None:
    """Check that Orbax can read checkpoints below ``root``: it takes their paths for patterns of file names.

    Raises:
        UsageError: the path has a character that means something in such a pattern, or can't be written in UTF-8.
    """
    path = str(root.absolute())
    for character, name in (("[", "a bracket, ["), ("\\", "a backslash, \\")):
        if character in path:
            raise UsageError(f"{path}: has {name}, which Orbax takes for a part of a pattern; use a path without it")
    if any("\udc80" <= character <= "\udcff" for character in path):
        raise UsageError(f"{printable(path)}: is no UTF-8, which Orbax can't read; use another path")


@contextmanager
def few_small_files() -> Iterator[None]:
    """Let Orbax write few and small files, without compression.

    Compression would save 7% of the size of float32 weights, and double the time.
    """
    from orbax.checkpoint import v1 as ocp

    context = ocp.Context()
    # A reader refuses the files that the first two would write (appendix B).
    context.array.saving.enable_write_sharding_file = False
    context.array.saving.array_metadata_store = None
    context.array.saving.use_compression = False
    context.array.saving.use_replica_parallel = False  # it would cut what the mesh does not cut
    context.memory_options.deepcopy_host_arrays = False  # nobody changes them: what saves waits until all is written
    with context:
        yield


def escaped_names(spec: StateSpec) -> list[tuple[str, ...]]:
    """Return the place of each leaf in the nested dicts; names are escaped, because Orbax joins them by dots."""
    return [tuple(_safe(part) for part in split_pointer(leaf.path)) or ("state",) for leaf in spec]


def _safe(part: str) -> str:
    # `quote` leaves dots and tildes as they are. Orbax joins names by dots, and section 10 escapes both.
    return quote(part, safe="").replace(".", "%2E").replace("~", "%7E") or "%"


def reason_of(error: BaseException) -> str:
    """Return the reason of an error that Orbax has wrapped, in one line."""
    text = str(error) or type(error).__name__
    for known in ("No space left on device", "Permission denied", "Read-only file system"):
        if known in text:
            return known
    return f"{type(error).__name__}: {text.splitlines()[0][:120]}"
