"""A signature says which arrays a program takes and returns: state, batch, key and metrics (section 9)."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.export
import numpy as np

from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.keys import KEY_WORDS
from pol_jax.protocol.mesh import Mesh
from pol_jax.protocol.trees import DTYPES, ArraySpec, LeafSpec, RecordSpec, StateSpec

WIDE_DTYPES = frozenset({"int64", "uint64", "float64", "complex128"})
"""Arrays of these types exist only where jax's 64-bit types are enabled."""


@dataclass(frozen=True)
class Signature:
    """A signature says what a program takes and returns.

    ``init(key) -> (*leaves,)`` and ``step((*leaves,), (*batch,), key) -> ((*leaves,), (*metrics,))``, where the key is
    ``uint32[words]``, a batch leaf is ``[batch_size, *shape]`` and a metric is a ``float32`` scalar. A program that
    names devices names those of ``mesh``.
    """

    state: StateSpec
    record: RecordSpec
    batch_size: int
    prng: str
    metrics: tuple[str, ...]
    loss: str = "loss"
    mesh: Mesh | None = None

    @classmethod
    def from_commitment(cls, commitment: Commitment) -> Signature:
        """Return the signature that a commitment fixes."""
        schedule, program = commitment.schedule, commitment.program
        return cls(
            commitment.state,
            commitment.data.record,
            schedule.batch_size,
            schedule.prng,
            program.metrics,
            program.loss,
            commitment.mesh,
        )

    @property
    def is_wide(self) -> bool:
        """Return whether a leaf of the state or of a record has a 64-bit type."""
        return any(leaf.dtype in WIDE_DTYPES for leaf in (*self.state, *self.record))

    @property
    def loss_place(self) -> int:
        """Return the place of the loss among the metrics."""
        return self.metrics.index(self.loss)

    def key(self) -> jax.ShapeDtypeStruct:
        """Return shape and dtype of the key data of one PRNG key."""
        return jax.ShapeDtypeStruct((KEY_WORDS[self.prng],), np.uint32)

    def leaves(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shapes and dtypes of the leaves of a state."""
        return tuple(abstract_array(leaf) for leaf in self.state)

    def batch(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shapes and dtypes of the leaves of a batch."""
        return tuple(abstract_array(leaf, self.batch_size) for leaf in self.record)

    def metric_values(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shapes and dtypes of the metrics."""
        return tuple(jax.ShapeDtypeStruct((), np.float32) for _ in self.metrics)


def abstract_array(leaf: LeafSpec | ArraySpec, *leading: int) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a leaf, below ``leading`` axes."""
    return jax.ShapeDtypeStruct((*leading, *leaf.shape), DTYPES[leaf.dtype])
