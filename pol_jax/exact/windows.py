"""These functions compute sums over sliding windows, and the gradients of maxima over them.

A window's elements are added in row-major order, each sum rounded. Where elements of a window are equal, the first is
its maximum. (Maxima themselves need no rule: they are exact in any order.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import lax

from pol_jax.exact.guard import Guard
from pol_jax.exact.sums import ordered
from pol_jax.exact.values import Array, full

Pads = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Sliding:
    """A sliding window has a size, strides and a dilation along each axis of a padded array."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    def places(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return how many windows there are along each axis of a padded array."""
        return tuple(
            max(0, (length - (width - 1) * apart - 1) // step + 1)
            for length, width, apart, step in zip(shape, self.size, self.dilation, self.strides, strict=True)
        )

    def elements(self, padded: Array) -> Iterator[Array]:
        """Return the first element of all windows, then the second one, ..., each in the shape of the result."""
        places = self.places(padded.shape)
        for at in np.ndindex(self.size):
            start = [i * apart for i, apart in zip(at, self.dilation, strict=True)]
            limit = [s + (count - 1) * step + 1 for s, count, step in zip(start, places, self.strides, strict=True)]
            yield lax.slice(padded, start, limit, self.strides)


def window_sum(g: Guard, x: Array, params: dict[str, Any]) -> Array:
    """Compute the primitive ``reduce_window_sum`` of float32, axis after axis."""
    axes = range(x.ndim)
    pads = [
        (low, high, apart - 1) for (low, high), apart in zip(params["padding"], params["base_dilation"], strict=True)
    ]
    x = lax.pad(x, np.float32(0), pads)
    # One axis after the other (docs/exact.md, sums): as many additions as the sum of the sizes, and not their product.
    for axis in axes:
        sliding = Sliding(
            *(
                tuple(params[name][axis] if at == axis else 1 for at in axes)
                for name in ("window_dimensions", "window_strides", "window_dilation")
            )
        )
        x = ordered(g, list(sliding.elements(x)))
    return x


def _first_best(padded: Array, sliding: Sliding, better: Callable[[Array, Array], Array]) -> tuple[Array, Array]:
    """Return the best element of each window and its number; the first one where several are equal."""
    elements = list(sliding.elements(padded))
    best = elements[0]
    where = lax.full(best.shape, np.int32(0))
    for number, element in enumerate(elements[1:], 1):
        found = better(element, best)
        best = lax.select(found, element, best)
        where = lax.select(found, full(where, number), where)
    return best, where


def _comparison(primitive: Any) -> tuple[Callable[[Array, Array], Array], float]:
    """Return how a window's elements are compared, and what pads them."""
    # Strictly better, though the primitive says "ge" or "le": so the first of equal elements stays the best.
    return (lax.gt, -np.inf) if primitive.name == "ge" else (lax.lt, np.inf)


def scatter_to_best(g: Guard, source: Array, x: Array, params: dict[str, Any]) -> Array:
    """Compute ``select_and_scatter_add``: each window's value of ``source`` goes to its best element of ``x``.

    What meets in one element is added in the order of the windows' elements.
    """
    better, edge = _comparison(params["select_prim"])
    pads = [(low, high, 0) for low, high in params["padding"]]
    padded = lax.pad(x, np.float32(edge), pads)
    ones = (1,) * x.ndim
    sliding = Sliding(tuple(params["window_dimensions"]), tuple(params["window_strides"]), ones)
    _, where = _first_best(padded, sliding, better)
    terms = []
    for number, at in enumerate(np.ndindex(sliding.size)):
        chosen = lax.select(lax.eq(where, full(where, number)), source, full(source, 0))
        # back to the places in the padded array that these elements came from
        spread = [
            (s, length - s - ((count - 1) * step + 1), step - 1)
            for s, length, count, step in zip(at, padded.shape, chosen.shape, sliding.strides, strict=True)
        ]
        terms.append(lax.pad(chosen, np.float32(0), spread))
    # Negative padding cuts off what the padding added.
    return lax.pad(ordered(g, terms), np.float32(0), [(-low, -high, 0) for low, high, _ in pads])


def gather_from_best(x: Array, tangent: Array, params: dict[str, Any]) -> Array:
    """Compute ``select_and_gather_add``: the element of ``tangent`` where ``x`` has its window's best element."""
    better, edge = _comparison(params["select_prim"])
    pads = [
        (low, high, apart - 1) for (low, high), apart in zip(params["padding"], params["base_dilation"], strict=True)
    ]
    sliding = Sliding(*(tuple(params[name]) for name in ("window_dimensions", "window_strides", "window_dilation")))
    _, where = _first_best(lax.pad(x, np.float32(edge), pads), sliding, better)
    result = lax.full(where.shape, np.float32(0))
    for number, element in enumerate(sliding.elements(lax.pad(tangent, np.float32(0), pads))):
        result = lax.select(lax.eq(where, full(where, number)), element, result)
    return result
