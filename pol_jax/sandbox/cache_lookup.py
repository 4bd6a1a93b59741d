"""A confined process finds programs in two caches: the one that it writes to, and the user's own, which it only reads.

jax knows of one folder alone. Links from the one to all programs of the other would take longer to make, and to remove,
than a small verification: a user's cache may hold thousands.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

READ_ALSO: Final = "JAX_COMPILATION_CACHE_DIR_READ_ALSO"
"""This variable names the second folder to a process of ours; jax has no such variable."""


def read_also() -> None:
    """Let jax look in the folder that `READ_ALSO` names for a program that its own folder has not.

    A jax that keeps its programs in another way compiles them again.
    """
    folder = os.environ.get(READ_ALSO)
    if not folder:
        return
    try:
        from jax._src.lru_cache import LRUCache

        # This is private to jax. Where it has moved, programs are compiled again, and nothing else changes.
        look_up = LRUCache.get
    except (ImportError, AttributeError):
        return

    def get(self: Any, key: str) -> bytes | None:
        found = look_up(self, key)
        if found is None:
            with suppress(OSError):
                # jax's own name for the file of a program.
                found = Path(folder, f"{key}-cache").read_bytes()
        return found

    LRUCache.get = get  # type: ignore[method-assign]
