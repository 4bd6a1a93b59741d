"""Hypothesis strategies for rows, leaves and states."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.protocol.trees import DTYPES, LeafSpec


def law(examples: int) -> Callable[[Any], Any]:
    """Settings of a property test: the same examples in every run."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


_digest = st.binary(min_size=32, max_size=32)


_word = st.sampled_from([0x7F800001, 0x7FC00000, 0xFFC12345, 0xFF800000, 0x80000000, 1]) | st.integers(0, 2**32 - 1)


LAYOUTS = st.sampled_from([RowLayout(), RowLayout(("accuracy", "loss", "norm")), RowLayout(version="pol-jax/1")])


_metric = _word.map(lambda word: struct.pack("<I", word))


@st.composite
def row_lists(draw: st.DrawFn, start: int = 0, most: int = 6) -> list[Row]:
    words, batch, layout = draw(st.sampled_from([2, 4])), draw(st.integers(0, 5)), draw(LAYOUTS)
    indices = st.lists(st.integers(0, 2**64 - 1), min_size=batch, max_size=batch)

    def row(step: int) -> Row:
        return Row(
            step=step,
            key=draw(st.binary(min_size=4 * words, max_size=4 * words)),
            indices=np.array([] if step == 0 else draw(indices), np.uint64),
            batch=draw(_digest),
            state=draw(st.none() | _digest),
            metrics=b"" if step == 0 else b"".join(draw(_metric) for _ in layout.metrics),
            layout=layout,
        )

    return [row(step) for step in range(start, start + draw(st.integers(1, most)))]


def _row(step: int, batch: int = 3) -> Row:
    indices = np.arange(batch if step else 0, dtype=np.uint64)
    return Row(step, bytes(8), indices, bytes(32), bytes(32), bytes(4) if step else b"")


_X64 = {"int64", "uint64", "float64", "complex128"}


@st.composite
def leaf_specs(draw: st.DrawFn, path: str) -> LeafSpec:
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=3)))
    divisors = [[part for part in range(1, 7) if size % part == 0] for size in shape]
    pieces = tuple(draw(st.sampled_from(each)) for each in divisors)
    return LeafSpec(path, dtype, shape, pieces, None)


@st.composite
def states(draw: st.DrawFn) -> tuple[tuple[LeafSpec, ...], list[np.ndarray]]:
    spec = tuple(draw(leaf_specs(f"/{at}")) for at in range(draw(st.integers(1, 5))))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))

    def array(leaf: LeafSpec) -> np.ndarray:
        content = source.bytes(leaf.nbytes)
        if leaf.dtype == "bool":
            content = bytes(byte % 2 for byte in content)
        return np.frombuffer(content, DTYPES[leaf.dtype]).reshape(leaf.shape)

    return spec, [array(leaf) for leaf in spec]
