"""The self-test says whether this backend keeps the rules of exact arithmetic.

Where bits differ, a verifier runs it before they decide (protocol.md, section 13.1): if a vector fails, this backend
can't judge, and the prover is not to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jaxlib.version
import numpy as np

from pol_jax.exact.operations import OPERATIONS
from pol_jax.exact.transform import exact
from pol_jax.exact.vectors import ARITHMETIC, Vector, load_vectors

_KEY = np.array([7, 9], np.uint32)
"""Any number will do: the opaque zero is made of it, whatever it is (`pol_jax.exact.guard`)."""


@dataclass(frozen=True)
class SelfTest:
    """A self-test says what it found; its truth value is "this backend keeps the rules".

    Attributes:
        arithmetic: the name and version of the rules.
        backend: the platform, the kind of device, and the version of jaxlib.
        tested: how many vectors were run.
        failed: the operations of the vectors whose bits differ.
    """

    arithmetic: str
    backend: str
    tested: int
    failed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Return whether the backend keeps the rules."""
        return self.tested > 0 and not self.failed

    def __str__(self) -> str:
        """Return one line for reports."""
        if self:
            return f"{self.backend} keeps {self.arithmetic}: all {self.tested} vectors have their bits"
        return (
            f"{self.backend} doesn't keep {self.arithmetic}: other bits for {', '.join(self.failed) or 'nothing run'}"
        )


def self_test(vectors: Sequence[Vector] | None = None) -> SelfTest:
    """Run vectors on the default backend, compiled as one program as a step would be.

    Args:
        vectors: those of the package by default.
    """
    chosen = load_vectors() if vectors is None else tuple(vectors)
    found = results_of(chosen)
    failed = tuple(
        vector.operation for vector, outputs in zip(chosen, found, strict=True) if not _same(outputs, vector.outputs)
    )
    device = jax.devices()[0]
    backend = f"{device.platform} ({device.device_kind}) with jaxlib {jaxlib.version.__version__}"
    return SelfTest(ARITHMETIC, backend, len(chosen), failed)


def results_of(vectors: Sequence[Vector]) -> list[tuple[np.ndarray, ...]]:
    """Return what this backend computes for the inputs of vectors."""
    inputs = [vector.inputs for vector in vectors]
    # Inputs are arguments: what is constant in a program may be computed by the compiler, and not by the backend.
    results = jax.jit(program(vectors))(inputs, _KEY)
    return [tuple(np.asarray(leaf) for leaf in jax.tree.leaves(result)) for result in results]


def program(vectors: Sequence[Vector]) -> Callable[..., Any]:
    """Return the function that computes all outputs of all inputs, exactly; its last argument is any uint32 array."""

    def outputs(inputs: Any, key: Any) -> Any:
        return [OPERATIONS[vector.operation](*arrays) for vector, arrays in zip(vectors, inputs, strict=True)]

    return exact(outputs)


def _same(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    # By their bytes: 0 and -0 compare as equal, and a NaN as unequal to itself.
    return len(found) == len(expected) and all(
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(found, expected, strict=True)
    )
