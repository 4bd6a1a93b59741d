"""The commitment decides the PRNG key of every step (docs/protocol.md, section 7).

The root key is the first bytes of the commitment's digest. The key of step t is ``fold_in(root, t)``; step 0 is that
of ``init``. Therefore nobody can choose a seed that fits weights that they already have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import numpy as np

from pol_jax import array_types
from pol_jax.protocol.encoding import Digest

Prng: TypeAlias = Literal["threefry2x32", "rbg", "unsafe_rbg"]
"""A commitment may name one of these PRNG implementations."""

KEY_WORDS: Final[Mapping[str, int]] = {"threefry2x32": 2, "rbg": 4, "unsafe_rbg": 4}
"""For each PRNG implementation, this is how many ``uint32`` words its keys have."""

FOLDED_AS: Final[Mapping[str, str]] = {"unsafe_rbg": "rbg"}
"""Keys of steps are folded as those of another implementation where jax's own folding depends on the device."""

MAX_STEPS: Final = 2**32 - 1
"""A run has at most this many steps, because ``fold_in`` takes a number of 32 bits."""


def root_key(commitment: Digest, prng: str) -> array_types.UInt32[np.ndarray, " words"]:
    """Return the key data of the root key: the first words of the commitment's digest (section 7)."""
    return np.frombuffer(commitment, "<u4")[: KEY_WORDS[prng]].copy()
