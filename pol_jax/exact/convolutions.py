"""Convolutions: exact integer sums, rounded once.

Whatever computes the sums gives the same integers. Here windows are laid out as rows of a matrix, which is multiplied
in float64: convolutions in float64 are slow on some machines and missing on others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import lax

from pol_jax.exact.grid import bits_for, gridded, rounded
from pol_jax.exact.guard import Guard
from pol_jax.exact.products import integer_dot
from pol_jax.exact.values import Array


@dataclass(frozen=True)
class Window:
    """How a filter moves over an image, along each spatial axis."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    places: tuple[int, ...]

    def starts(self) -> list[tuple[int, ...]]:
        """Where in the padded image each element of the filter begins, in row-major order."""
        return [
            tuple(at * step for at, step in zip(element, self.dilation, strict=True))
            for element in np.ndindex(self.size)
        ]


def convolution(g: Guard, a: Array, b: Array, params: dict[str, Any]) -> Array:
    """What `jax.lax.conv_general_dilated` computes of float32 arrays, of its primitive's parameters.

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
    result = _grouped(g, images, filters, params)
    order = [0] * result.ndim
    for place, axis in enumerate((numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])):
        order[axis] = place
    return lax.transpose(result, order)


def _batch_as_channels(images: Array, groups: int) -> Array:
    """Groups of images as groups of channels of fewer images."""
    n, *space, channels = images.shape
    split = lax.reshape(images, (groups, n // groups, *space, channels))
    moved = lax.transpose(split, (1, *range(2, split.ndim - 1), 0, split.ndim - 1))
    return lax.reshape(moved, (n // groups, *space, groups * channels))


def _grouped(g: Guard, images: Array, filters: Array, params: dict[str, Any]) -> Array:
    """The convolution of images [n, *space, groups, channels] with filters [groups, outputs, *window, channels]."""
    n, *_, groups, channels = images.shape
    _, outputs, *size, _ = filters.shape
    space = len(size)
    p = bits_for(math.prod(size) * channels)
    left = gridded(images, (*range(1, space + 1), space + 2), p)
    right = gridded(filters, tuple(range(2, space + 3)), p)
    padded = _padded(left.integers, params)
    window = _window(padded, size, params)
    few_places = math.prod(window.places) < math.prod(window.size)
    sums = (_place_by_place if few_places else _all_places)(padded, right.integers, window, p)
    # sums [groups, n, *places, outputs]
    unit_of_images = lax.transpose(left.unit(), (space + 1, *range(space + 1), space + 2))
    unit_of_filters = lax.reshape(right.unit(), (groups, *(1 for _ in range(space + 1)), outputs))
    result = lax.transpose(rounded(g, sums, unit_of_images, unit_of_filters), (*range(1, space + 2), 0, space + 2))
    return lax.reshape(result, (n, *window.places, groups * outputs))


def _padded(integers: Array, params: dict[str, Any]) -> Array:
    """Images with their padding, and with zeros between pixels where they are dilated."""
    pads = [(low, high, step - 1) for (low, high), step in zip(params["padding"], params["lhs_dilation"], strict=True)]
    return lax.pad(integers, np.float64(0), [(0, 0, 0), *pads, (0, 0, 0), (0, 0, 0)])


def _window(padded: Array, size: Sequence[int], params: dict[str, Any]) -> Window:
    strides, dilation = tuple(params["window_strides"]), tuple(params["rhs_dilation"])
    places = tuple(
        max(0, (length - (width - 1) * apart - 1) // step + 1)
        for length, width, apart, step in zip(padded.shape[1:], size, dilation, strides, strict=False)
    )
    return Window(tuple(size), strides, dilation, places)


def _all_places(padded: Array, filters: Array, window: Window, p: int) -> Array:
    """Sums of all windows at once: windows as rows of one matrix, filters as columns of another."""
    n, *_, groups, channels = padded.shape
    space = len(window.size)
    columns = []
    for start in window.starts():
        limit = [
            at + (count - 1) * step + 1 for at, count, step in zip(start, window.places, window.strides, strict=True)
        ]
        columns.append(lax.slice(padded, (0, *start, 0, 0), (n, *limit, groups, channels), (1, *window.strides, 1, 1)))
    rows = lax.concatenate(columns, space + 2)
    # filters [groups, outputs, *window, channels] have the same order of window and channels as the rows
    flat = lax.reshape(filters, (*filters.shape[:2], rows.shape[-1]))
    numbers = (((space + 2,), (2,)), ((space + 1,), (0,)))
    return integer_dot(rows, flat, numbers, p)


def _place_by_place(padded: Array, filters: Array, window: Window, p: int) -> Array:
    """Sums of each window alone, for filters that have few places: gradients of filters are such convolutions."""
    n, *_, groups, channels = padded.shape
    space = len(window.size)
    along = tuple(range(1, space + 1))
    numbers = (((*along, space + 2), (*(axis + 1 for axis in along), space + 2)), ((space + 1,), (0,)))
    parts = []
    for place in np.ndindex(window.places):
        start = [at * step for at, step in zip(place, window.strides, strict=True)]
        limit = [
            at + (length - 1) * step + 1 for at, length, step in zip(start, window.size, window.dilation, strict=True)
        ]
        part = lax.slice(padded, (0, *start, 0, 0), (n, *limit, groups, channels), (1, *window.dilation, 1, 1))
        parts.append(integer_dot(part, filters, numbers, p))
    stacked = lax.concatenate([lax.expand_dims(part, [2]) for part in parts], 2)
    return lax.reshape(stacked, (*stacked.shape[:2], *window.places, stacked.shape[-1]))
