"""Types of arrays for annotations: jaxtyping is imported when one is read, which tests do, and no running code does.

Its import takes nearly as long as that of numpy, and commands that need no jax shall start in less than half a second.
Modules that are imported together with jax name jaxtyping itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import UInt8 as UInt8
    from jaxtyping import UInt32 as UInt32
    from jaxtyping import UInt64 as UInt64


def __getattr__(name: str) -> Any:
    """Return the type of arrays that has this name in jaxtyping."""
    if name.startswith("_"):  # what Python's own machinery asks a module for
        raise AttributeError(name)
    return getattr(import_module("jaxtyping"), name)
