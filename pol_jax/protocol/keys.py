"""The PRNG key of every step, from the commitment.

Root key: the first bytes of the commitment's digest. The key of step t is ``fold_in(root, t)``; step 0 is ``init``.
So nobody can choose a seed to fit weights that they already have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import UInt32

from pol_jax.protocol.encoding import Digest

Prng: TypeAlias = Literal["threefry2x32", "rbg"]
"""The PRNG implementations that a commitment may name."""

KEY_WORDS: Final[Mapping[str, int]] = {"threefry2x32": 2, "rbg": 4}
"""The PRNG implementations that a commitment may name, and the ``uint32`` words of their keys."""

MAX_STEPS: Final = 2**32 - 1
"""``fold_in`` takes 32 bits."""


def root_key(commitment: Digest, prng: str) -> UInt32[np.ndarray, " words"]:
    """Key data of the root key."""
    return np.frombuffer(commitment, "<u4")[: KEY_WORDS[prng]].copy()
