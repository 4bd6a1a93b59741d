"""jax derives the PRNG key of every step from the commitment (docs/protocol.md, section 7)."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt32

from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.keys import FOLDED_AS, root_key

_BLOCK = 256


def step_keys(commitment: Digest, prng: str, start: int, stop: int) -> UInt32[np.ndarray, "steps words"]:
    """Return the key data of the steps from ``start`` up to ``stop - 1``; step 0 has the key of the initial state.

    They are computed in aligned blocks of one size, so that XLA compiles only once.
    """
    root = root_key(commitment, prng)
    first = start - start % _BLOCK
    starts = range(first, max(stop, first + 1), _BLOCK)
    # What jax folds into an `unsafe_rbg` key depends on the device (section 7), so another PRNG folds for it.
    impl = FOLDED_AS.get(prng, prng)
    with jax.transfer_guard("allow"):  # whatever the caller forbids their own code
        blocks = [_fold_in_block(root, np.uint32(block), impl) for block in starts]
        return np.concatenate([np.asarray(block) for block in blocks])[start - first : stop - first]


@partial(jax.jit, static_argnums=2)
def _fold_in_block(root: jax.typing.ArrayLike, first: jax.typing.ArrayLike, prng: str) -> jax.Array:
    key = jax.random.wrap_key_data(jnp.asarray(root), impl=prng)
    steps = first + jnp.arange(_BLOCK, dtype=jnp.uint32)
    return jax.vmap(lambda step: jax.random.key_data(jax.random.fold_in(key, step)))(steps)
