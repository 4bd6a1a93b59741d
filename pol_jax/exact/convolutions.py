"""Convolutions are computed as exact integer sums, which are rounded once.

Whatever computes the sums gives the same integers; here it is products of matrices in float64, of a few images at a
time, so that what they are made of stays small. (Convolutions in float64 are slow on some machines and missing on
others.)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import lax

from pol_jax.exact.grid import bits_for, block_of, grid_of, rounded
from pol_jax.exact.guard import Guard
from pol_jax.exact.products import integer_dot
from pol_jax.exact.values import INT64, Array

_AT_ONCE = 2**18
"""About how many float64 values a product is made of, or makes, at a time: 2 MiB, which stay in a processor's cache."""


@dataclass(frozen=True)
class Window:
    """A window says how a filter moves over images, along each spatial axis.

    Attributes:
        size: of the filter.
        strides: from place to place.
        apart: from element to element of the filter; 1 without dilation.
        spread: from pixel to pixel of the image; 1 without dilation.
        padding: pixels before and after the image, negative where some are cut off.
        places: how many places the filter takes.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    apart: tuple[int, ...]
    spread: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, space: Sequence[int], size: Sequence[int], params: dict[str, Any]) -> Window:
        """Return the window of a convolution's parameters, over images of size ``space``."""
        apart, spread = params["rhs_dilation"], params["lhs_dilation"]
        places = tuple(
            max(0, ((length - 1) * wide + 1 + low + high - (width - 1) * far - 1) // step + 1)
            for length, width, wide, (low, high), far, step in zip(
                space, size, spread, params["padding"], apart, params["window_strides"], strict=True
            )
        )
        padding = tuple((low, high) for low, high in params["padding"])
        return cls(tuple(size), tuple(params["window_strides"]), tuple(apart), tuple(spread), padding, places)

    def padded(self, images: Array) -> Array:
        """Return images [n, *space, ...] with their padding, and with zeros between pixels where they are dilated."""
        spatial = [(low, high, wide - 1) for (low, high), wide in zip(self.padding, self.spread, strict=True)]
        others = [(0, 0, 0)] * (images.ndim - len(spatial) - 1)
        return lax.pad(images, np.zeros((), images.dtype), [(0, 0, 0), *spatial, *others])

    def element(self, padded: Array, at: Sequence[int], size: Sequence[int], step: Sequence[int]) -> Array:
        """Return ``size`` pixels of padded images along each axis, from ``at``, ``step`` apart."""
        others = padded.shape[1 + len(size) :]
        limit = [start + (count - 1) * far + 1 for start, count, far in zip(at, size, step, strict=True)]
        return lax.slice(
            padded, (0, *at, *(0 for _ in others)), (padded.shape[0], *limit, *others), (1, *step, *(1 for _ in others))
        )


def convolution(g: Guard, a: Array, b: Array, params: dict[str, Any]) -> Array:
    """Compute `jax.lax.conv_general_dilated` of float32 arrays, by the parameters of its primitive.

    Each image (of each group of channels) and each filter is rounded to its own grid, of `bits_for` bits for the size
    of a filter. An image or filter that isn't finite makes NaN of its results.
    """
    numbers = params["dimension_numbers"]
    groups = params["feature_group_count"]
    images = lax.transpose(a, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    filters = lax.transpose(b, (numbers.rhs_spec[0], *numbers.rhs_spec[2:], numbers.rhs_spec[1]))
    if params["batch_group_count"] > 1:
        groups = params["batch_group_count"]
        images = _batch_as_channels(images, groups)
    # images [n, *space, groups, channels], filters [groups, outputs, *window, channels]
    images = lax.reshape(images, (*images.shape[:-1], groups, images.shape[-1] // groups))
    filters = lax.reshape(filters, (groups, filters.shape[0] // groups, *filters.shape[1:]))
    window = Window.of(images.shape[1:-2], filters.shape[2:-1], params)
    # Gradients of filters have large "filters" and few places; matrices are then made of the places, not of the filter.
    few_places = math.prod(window.places) < math.prod(window.size)
    result = (_over_channels if few_places else _over_images)(g, images, filters, window)
    # result [groups, n, *places, outputs]
    result = lax.transpose(result, (*range(1, result.ndim - 1), 0, result.ndim - 1))
    result = lax.reshape(result, (*result.shape[:-2], result.shape[-2] * result.shape[-1]))
    order = [0] * result.ndim
    for place, axis in enumerate((numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])):
        order[axis] = place
    return lax.transpose(result, order)


def _batch_as_channels(images: Array, groups: int) -> Array:
    """Return groups of images as groups of channels of fewer images."""
    n, *space, channels = images.shape
    split = lax.reshape(images, (groups, n // groups, *space, channels))
    moved = lax.transpose(split, (1, *range(2, split.ndim - 1), 0, split.ndim - 1))
    return lax.reshape(moved, (n // groups, *space, groups * channels))


def _at_once(count: int, values: int) -> int:
    """Return how many of ``count`` images to take at a time, if each makes this many values: a divisor of ``count``."""
    # A divisor, so that all parts have one shape and the loop over them compiles once.
    most = max(1, _AT_ONCE // max(values, 1))
    return max(divisor for divisor in range(1, min(most, count) + 1) if count % divisor == 0) if count else 1


def _over_images(g: Guard, images: Array, filters: Array, window: Window) -> Array:
    """Return the convolution as [groups, n, *places, outputs], of a few images at a time."""
    n, *space, groups, channels = images.shape
    outputs = filters.shape[1]
    p = bits_for(math.prod(window.size) * channels)
    grid = grid_of(filters, tuple(range(2, filters.ndim)), p)
    integers, unit = grid.integers(filters), grid.unit()
    unit = lax.reshape(unit, (groups, *(1 for _ in range(len(space) + 1)), outputs))
    gathered, scattered = math.prod(window.places) * channels, math.prod(space) * outputs
    # The smaller intermediate array is made: windows before the product, or products before the sum.
    by_scattering = set(window.strides) == {1} and scattered <= gathered
    sums_of = _scattered_sums if by_scattering else _gathered_sums

    def convolved(some: Array) -> Array:
        own = grid_of(some, (*range(1, len(space) + 1), some.ndim - 1), p)
        sums = sums_of(own.integers(some), integers, window, p)
        return rounded(g, sums, lax.transpose(own.unit(), (some.ndim - 2, *range(some.ndim - 2), some.ndim - 1)), unit)

    size = _at_once(n, (scattered if by_scattering else gathered) * math.prod(window.size) * groups)
    if size == n:
        return convolved(images)
    parts = lax.map(convolved, lax.reshape(images, (n // size, size, *images.shape[1:])))
    parts = lax.transpose(parts, (1, 0, *range(2, parts.ndim)))
    return lax.reshape(parts, (groups, n, *window.places, outputs))


def _gathered_sums(images: Array, filters: Array, window: Window, p: int) -> Array:
    """Return integer sums: windows as rows of one matrix, filters as columns of another."""
    padded = window.padded(images)
    axis = len(window.size) + 2
    elements = [
        window.element(
            padded, [i * far for i, far in zip(at, window.apart, strict=True)], window.places, window.strides
        )
        for at in np.ndindex(window.size)
    ]
    rows = lax.concatenate(elements, axis)
    # filters [groups, outputs, *window, channels] have window and channels in the same order as the rows
    columns = lax.reshape(filters, (*filters.shape[:2], rows.shape[-1]))
    return integer_dot(rows, columns, (((axis,), (2,)), ((axis - 1,), (0,))), p)


def _scattered_sums(images: Array, filters: Array, window: Window, p: int) -> Array:
    """Return integer sums, for strides of 1: each pixel times all filters, added where the filters' elements lie."""
    space = len(window.size)
    matrix = lax.transpose(filters, (0, *range(2, space + 2), 1, space + 2))
    # [groups, n, *space, *window, outputs]
    products = integer_dot(images, matrix, (((space + 2,), (space + 2,)), ((space + 1,), (0,))), p)
    if math.prod(window.size) * filters.shape[-1] > block_of(p):
        # Each product is exact in float64, and what they add up to may be beyond 2**53.
        products = lax.convert_element_type(products, INT64)
    parts = []
    for at in np.ndindex(window.size):
        start = (*(0 for _ in range(2 + space)), *at, 0)
        limit = (*products.shape[: 2 + space], *(i + 1 for i in at), products.shape[-1])
        part = lax.squeeze(lax.slice(products, start, limit), range(2 + space, 2 + 2 * space))
        pads = [
            (low - i * far, high + i * far - (size - 1) * far, wide - 1)
            for i, far, size, wide, (low, high) in zip(
                at, window.apart, window.size, window.spread, window.padding, strict=True
            )
        ]
        parts.append(lax.pad(part, np.zeros((), part.dtype), [(0, 0, 0), (0, 0, 0), *pads, (0, 0, 0)]))
    return functools.reduce(lax.add, parts)


def _over_channels(g: Guard, images: Array, filters: Array, window: Window) -> Array:
    """Return the convolution as [groups, n, *places, outputs], for large filters, some channels at a time.

    Such are the gradients of filters: their channels are the images of the batch.
    """
    n, *space, groups, channels = images.shape
    outputs, places = filters.shape[1], math.prod(window.places)
    p = bits_for(math.prod(window.size) * channels)
    # channels first: [channels, *space, groups, n] and [channels, *window, groups, outputs]
    images = lax.transpose(images, (images.ndim - 1, *range(1, images.ndim - 1), 0))
    filters = lax.transpose(filters, (filters.ndim - 1, *range(2, filters.ndim - 1), 0, 1))
    shared = tuple(range(len(space) + 1))
    of_images, of_filters = grid_of(images, shared, p), grid_of(filters, shared, p)
    size = _at_once(channels, math.prod(window.size) * places * n * groups)

    def added(sums: Array, some: tuple[Array, ...]) -> tuple[Array, None]:
        # In int64: the parts are exact in float64, and together they may be beyond 2**53.
        more = _sums_of_places(of_images.integers(some[0]), of_filters.integers(some[1]), window, p)
        return lax.add(sums, lax.convert_element_type(more, INT64)), None

    parts = tuple(lax.reshape(x, (channels // size, size, *x.shape[1:])) for x in (images, filters))
    sums, _ = lax.scan(added, lax.full((groups, places * n, outputs), np.int64(0)), parts)
    sums = lax.reshape(sums, (groups, *window.places, n, outputs))
    sums = lax.transpose(sums, (0, len(space) + 1, *range(1, len(space) + 1), len(space) + 2))
    ones = tuple(1 for _ in space)
    unit_of_images = lax.reshape(of_images.unit(), (groups, n, *ones, 1))
    return rounded(g, sums, unit_of_images, lax.reshape(of_filters.unit(), (groups, 1, *ones, outputs)))


def _sums_of_places(images: Array, filters: Array, window: Window, p: int) -> Array:
    """Return integer sums [groups, places * n, outputs] of images and filters that have their channels first."""
    padded, axis = window.padded(images), images.ndim - 1
    elements = [
        window.element(
            padded, [i * step for i, step in zip(at, window.strides, strict=True)], window.size, window.apart
        )
        for at in np.ndindex(window.places)
    ]
    rows = lax.concatenate(elements, axis)
    shared = tuple(range(axis - 1))
    return integer_dot(rows, filters, ((shared, shared), ((axis - 1,), (axis - 1,))), p)
