"""Convolutions are exact sums: of small whole numbers they are what a plain loop gives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest
from exact_laws import by_numpy, compiled, rounded
from jax import lax

from pol_jax.exact.convolutions import Window
from pol_jax.exact.grid import bits_for, block_of

SOURCE = np.random.default_rng(0)
IMAGES = SOURCE.integers(-9, 9, (2, 5, 4, 4)).astype(np.float32)  # n, height, width, channels
FILTERS = SOURCE.integers(-9, 9, (3, 2, 4, 6)).astype(np.float32)  # height, width, channels, outputs


def looped(
    images: np.ndarray, filters: np.ndarray, strides: tuple[int, int], padding: list[tuple[int, int]], groups: int = 1
) -> np.ndarray:
    """A convolution, one place and one output after the other."""
    padded = np.pad(images, [(0, 0), *padding, (0, 0)])
    height, width = filters.shape[:2]
    places = [
        (size - part) // step + 1 for size, part, step in zip(padded.shape[1:3], (height, width), strides, strict=True)
    ]
    found = np.zeros((len(images), *places, filters.shape[3]), np.float32)
    of_input, of_output = filters.shape[2], filters.shape[3] // groups
    for row, column, output in np.ndindex(*places, filters.shape[3]):
        top, left, first = row * strides[0], column * strides[1], output // of_output * of_input
        part = padded[:, top : top + height, left : left + width, first : first + of_input]
        found[:, row, column, output] = (part * filters[..., output]).sum((1, 2, 3))
    return found


@pytest.mark.parametrize(
    ("strides", "padding", "groups"),
    [((1, 1), [(0, 0), (0, 0)], 1), ((2, 1), [(1, 2), (0, 1)], 1), ((1, 2), [(1, 1), (1, 1)], 2)],
)
def test_a_convolution_is_that_of_a_plain_loop(
    strides: tuple[int, int], padding: list[tuple[int, int]], groups: int
) -> None:
    def convolved(images: Any, filters: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            images, filters, strides, padding, dimension_numbers=numbers, feature_group_count=groups
        )

    filters = FILTERS[:, :, : 4 // groups]
    (found,) = by_numpy(convolved, IMAGES, filters)
    np.testing.assert_array_equal(found, looped(IMAGES, filters, strides, padding, groups))


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
@pytest.mark.parametrize("channels", [3, 3000])
def test_what_is_not_finite_makes_nan_of_the_results_of_its_image_or_filter(channels: int, wrong: float) -> None:
    """As floats, a NaN among many numbers may be lost; as an integer, it is whatever the machine makes of it."""

    def convolved(images: Any, filters: Any) -> Any:
        return lax.conv_general_dilated(images, filters, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    images, filters = np.ones((2, 6, 6, channels), np.float32), np.ones((3, 3, channels, 2), np.float32)
    images[0, 0, 0, 0] = wrong
    assert np.isnan(compiled(convolved)(images, filters)).all((1, 2)).tolist() == [[True, True], [False, False]]
    images[0, 0, 0, 0], filters[2, 1, 0, 1] = 1, wrong
    assert np.isnan(compiled(convolved)(images, filters)).all((1, 2)).tolist() == [[False, True], [False, True]]

    def gradient(images: Any, filters: Any) -> Any:
        return jax.grad(lambda filters: convolved(images, filters).sum())(filters)

    images[0, 0, 0, 0] = wrong
    found = np.isnan(compiled(gradient)(images, filters))
    assert found[:, :, 0].all()
    assert not found[:, :, 1:].any()


def test_places_are_counted_with_padding_strides_and_dilation() -> None:
    options = {"window_strides": (2, 1), "rhs_dilation": (1, 2), "lhs_dilation": (1, 3), "padding": ((1, 0), (-1, 2))}
    assert Window.of((5, 4), (3, 2), options).places == (2, 9)
    assert Window.of((1, 1), (3, 2), options).places == (0, 0)


@pytest.mark.parametrize(("padding", "place"), [("SAME", 3), ("VALID", 0)])
def test_a_long_convolution_is_an_exact_sum(padding: str, place: int) -> None:
    """In float64 the six ones would be lost, each by itself, and a sum just above a middle rounded down."""
    width, channels, unit, largest = 8, 8192, np.float32(2**-19), np.float32(2 - 2**-23)
    assert (bits_for(width * channels), block_of(20)) == (20, channels)  # so `unit` is 1, and `largest` is 2**20
    image, kernel = np.zeros((1, width, channels), np.float32), np.zeros((width, channels, 1), np.float32)
    image[0, 0] = kernel[0, :, 0] = largest  # 2**13 products of 2**40
    image[0, 1, 0], kernel[1, 0, 0] = largest, 2**9 * unit
    image[0, 2:, 0] = kernel[2:, 0, 0] = unit
    total = 2**53 + 2**29 + width - 2

    def convolved(image: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(image, kernel, (1,), padding, dimension_numbers=("NWC", "WIO", "NWC"))

    # One by scattering, the other by gathering, which was exact all along.
    assert np.asarray(compiled(convolved)(image, kernel))[0, place, 0] == rounded(Fraction(total, 2**38))
