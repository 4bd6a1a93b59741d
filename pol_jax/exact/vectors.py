"""A test vector of exact arithmetic has the inputs of an operation and the bits of its results, as JSON.

A file has an object with ``arithmetic``, the name and version that the vectors define, and ``vectors``, a list of
``{"operation": name, "inputs": [array, ...], "outputs": [array, ...]}``. An array is
``{"dtype": name, "shape": [sizes], "bits": hex}``: its elements in row-major order, each in as many hexadecimal digits
as its type has, the most significant first.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jax.numpy as jnp
import numpy as np

ARITHMETIC: Final = "exact/1"
"""The arithmetic that this package defines: every bit of every result."""

_FILE: Final = "vectors.json"
_WORDS: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True)
class Vector:
    """A vector has an operation (of `pol_jax.exact.operations`), its inputs, and the results that it must give."""

    operation: str
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


def array_to_json(array: np.ndarray) -> dict[str, Any]:
    """Return an array as JSON. Law: ``array_from_json(array_to_json(array))`` has the same bits."""
    words = np.ascontiguousarray(array).view(_WORDS[array.dtype.itemsize]).ravel()
    digits = 2 * array.dtype.itemsize
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "bits": "".join(f"{int(word):0{digits}x}" for word in words),
    }


def array_from_json(value: dict[str, Any]) -> np.ndarray:
    """Return the inverse of `array_to_json`."""
    dtype = np.dtype(jnp.dtype(value["dtype"]))
    digits, text = 2 * dtype.itemsize, value["bits"]
    words = [int(text[at : at + digits], 16) for at in range(0, len(text), digits)]
    array: np.ndarray = np.array(words, _WORDS[dtype.itemsize]).view(dtype).reshape(value["shape"])
    return array


def document(vectors: Sequence[Vector]) -> str:
    """Return the text of a file of vectors."""
    content = [
        {
            "operation": vector.operation,
            "inputs": [array_to_json(array) for array in vector.inputs],
            "outputs": [array_to_json(array) for array in vector.outputs],
        }
        for vector in vectors
    ]
    return json.dumps({"arithmetic": ARITHMETIC, "vectors": content}, indent=1) + "\n"


def parse_vectors(text: str) -> tuple[Vector, ...]:
    """Return the inverse of `document`."""
    return tuple(
        Vector(
            item["operation"],
            tuple(array_from_json(array) for array in item["inputs"]),
            tuple(array_from_json(array) for array in item["outputs"]),
        )
        for item in json.loads(text)["vectors"]
    )


def load_vectors() -> tuple[Vector, ...]:
    """Return the vectors of this package."""
    return parse_vectors(importlib.resources.files("pol_jax.exact").joinpath(_FILE).read_text())
