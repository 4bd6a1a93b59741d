"""Keys of steps: stored vectors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import second_implementation as second
from stored_vectors import vectors

from pol_jax.protocol.keys import FOLDED_AS, root_key


def test_keys_are_those_of_the_vectors() -> None:
    for vector in vectors("keys"):
        commitment = bytes.fromhex(vector["commitment"])
        impl = FOLDED_AS.get(vector["prng"], vector["prng"])
        root = jax.random.wrap_key_data(jnp.asarray(root_key(commitment, vector["prng"])), impl=impl)
        for step, words in vector["steps"].items():
            folded = jax.random.key_data(jax.random.fold_in(root, np.uint32(step)))
            assert second.step_key(commitment, vector["prng"], int(step)) == folded.tolist() == words
