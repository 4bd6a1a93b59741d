"""Python looks for garbage many times while a process imports jax, and finds none: that takes a fifth of the time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Import without looking for garbage; afterwards, look for it among what is made later.

    For processes of ours that import all they need before they do anything. What is imported stays, so that nobody
    has to look at half a million objects of jax again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
