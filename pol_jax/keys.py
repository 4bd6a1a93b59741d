"""The PRNG key of every step, from the commitment.

Root key: the first bytes of the commitment's digest. The key of step t is ``fold_in(root, t)``; step 0 is ``init``.
So nobody can choose a seed to fit weights that they already have.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt32

from pol_jax.encoding import Digest

Prng: TypeAlias = Literal["threefry2x32", "rbg"]
"""The PRNG implementations that a commitment may name."""

KEY_WORDS: Final[Mapping[str, int]] = {"threefry2x32": 2, "rbg": 4}
"""The PRNG implementations that a commitment may name, and the ``uint32`` words of their keys."""

MAX_STEPS: Final = 2**32 - 1
"""``fold_in`` takes 32 bits."""

_BLOCK = 256


def root_key(commitment: Digest, prng: str) -> UInt32[np.ndarray, " words"]:
    """Key data of the root key."""
    return np.frombuffer(commitment, "<u4")[: KEY_WORDS[prng]].copy()


def step_keys(commitment: Digest, prng: str, start: int, stop: int) -> UInt32[np.ndarray, "steps words"]:
    """Key data of the steps ``start`` to ``stop`` (exclusive); step 0 is the initial state's.

    Computed in aligned blocks of one size, so that XLA compiles once.
    """
    root = root_key(commitment, prng)
    first = start - start % _BLOCK
    blocks = [_fold_in_block(root, np.uint32(at), prng) for at in range(first, max(stop, first + 1), _BLOCK)]
    return np.concatenate([np.asarray(block) for block in blocks])[start - first : stop - first]


@partial(jax.jit, static_argnums=2)
def _fold_in_block(root: jax.Array, first: jax.Array, prng: str) -> jax.Array:
    key = jax.random.wrap_key_data(root, impl=prng)
    steps = first + jnp.arange(_BLOCK, dtype=jnp.uint32)
    return jax.vmap(lambda step: jax.random.key_data(jax.random.fold_in(key, step)))(steps)
