"""A step that calls back to Python is no function of its inputs: such calls are found before the step is exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_CALLS: Final = {
    "debug_print": "jax.debug.print",
    "debug_callback": "jax.debug.callback",
    "pure_callback": "jax.pure_callback",
    "io_callback": "jax.experimental.io_callback",
}
"""jax's primitives that call a function of Python, by the names under which users know them."""


def host_calls(jaxpr: Any) -> list[str]:
    """Return the names of the functions by which a traced program calls back to Python, sorted.

    Args:
        jaxpr: the program, as ``jax.jit(function).trace(...).jaxpr``.
    """
    return sorted({_CALLS[name] for name in _primitives(jaxpr) if name in _CALLS})


def names_mesh(jaxpr: Any) -> bool:
    """Return whether a traced program has a part that is written for each device of a mesh (`jax.shard_map`)."""
    return "shard_map" in _primitives(jaxpr)


def _primitives(jaxpr: Any) -> Iterator[str]:
    """Yield the name of every primitive, in the bodies of loops and branches too."""
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation.primitive.name
        for value in equation.params.values():
            # jax has what is inside of a primitive among its parameters: a loop's body, or a list of branches.
            for each in value if isinstance(value, list | tuple) else (value,):
                if hasattr(each, "jaxpr") or hasattr(each, "eqns"):
                    yield from _primitives(each)
