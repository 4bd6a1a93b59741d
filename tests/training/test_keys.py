"""Keys of steps are those that jax folds in."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from strategies import _digest, law

from pol_jax.protocol.keys import FOLDED_AS, KEY_WORDS, root_key
from pol_jax.training.keys import step_keys


@law(40)
@given(_digest, st.sampled_from(sorted(KEY_WORDS)), st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_step_keys_are_fold_in(commitment: bytes, prng: str, start: int, count: int) -> None:
    stop = min(start + count, 2**32)
    found = step_keys(commitment, prng, start, stop)
    assert found.shape == (stop - start, KEY_WORDS[prng])
    root = jax.random.wrap_key_data(jnp.asarray(root_key(commitment, prng)), impl=FOLDED_AS.get(prng, prng))
    for at in sorted({0, (stop - start) // 2, stop - start - 1} & set(range(stop - start))):
        assert found[at].tolist() == second.step_key(commitment, prng, start + at)
        folded = jax.random.key_data(jax.random.fold_in(root, np.uint32(start + at)))
        assert found[at].tolist() == folded.tolist()
