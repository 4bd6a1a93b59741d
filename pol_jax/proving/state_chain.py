"""A state that was changed between two steps is noticed before the next step runs: no replay could repeat it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pol_jax.errors import UsageError
from pol_jax.protocol.trees import PyTree
from pol_jax.training.export import Structure
from pol_jax.training.pytrees import flatten_with_paths

_CURES = (
    "no verifier could repeat that: make the change inside the task's step (it may depend on a counter in the state),"
    " or commit to it: state = recording.intervene(state, {path: value}, reason)"
)


class StateChain:
    """A chain of states checks that each step receives what the step before it returned.

    jax's arrays can't be changed, so the same arrays are the same state. Others are compared, bit for bit.
    """

    def __init__(self, structure: Structure, step: int, state: PyTree) -> None:
        """Begin with ``state``, which is that after ``step``."""
        self._structure = structure
        self.extend(step, state)

    def extend(self, step: int, state: PyTree) -> None:
        """Expect ``state``, which ``step`` returned, before the next step."""
        self._step, self._leaves = step, jax.tree.leaves(state)

    def check(self, state: PyTree) -> None:
        """Check the state that the next step shall receive.

        Raises:
            UsageError: it is another state, or one whose memory was reused.
        """
        leaves = self._matching(state)
        for spec, expected, given in zip(self._structure.spec, self._leaves, leaves, strict=True):
            # jax's arrays are immutable, so this is the usual case, and costs nothing.
            if given is expected:
                continue
            if _is_deleted(given) or _is_deleted(expected):
                raise UsageError(
                    f"step {self._step + 1}: the memory of the given state was reused (leaf {spec.path or '/'}): pass"
                    f" what step {self._step} returned; copy what you keep: jax.tree.map(jnp.copy, state)"
                )
            if not _same_bits(expected, given):
                raise UsageError(
                    f"step {self._step + 1}: the given state is not the one after step {self._step}: leaf"
                    f" {spec.path or '/'} was changed; {_CURES}"
                )

    def _matching(self, state: PyTree) -> list[Any]:
        """Return the leaves of a state that has the structure of the task's."""
        leaves, structure = jax.tree.flatten(state)
        # A pytree of other classes will do, if its leaves have the same paths in the same order.
        if structure == self._structure.treedef:
            return leaves
        paths, expected = [path for path, _ in flatten_with_paths(state)], [leaf.path for leaf in self._structure.spec]
        if paths != expected:
            other = sorted(set(paths) ^ set(expected))[:1] or ["the order of leaves"]
            raise UsageError(f"step {self._step + 1}: the given state has another structure: {other[0] or '/'} differs")
        return leaves


def _is_deleted(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and leaf.is_deleted()


def _same_bits(expected: Any, given: Any) -> bool:
    one, other = _host(expected), _host(given)
    return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()


def _host(leaf: Any) -> np.ndarray:
    """Return a leaf as an array of the host; of a typed PRNG key, its key data."""
    typed_key = isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    with jax.transfer_guard("allow"):
        return np.asarray(jax.random.key_data(leaf) if typed_key else jax.numpy.asarray(leaf))
