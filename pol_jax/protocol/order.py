"""The order of records in an epoch is a pseudo-random permutation under a key (docs/protocol.md, section 8).

The permutation is a balanced Feistel network over the smallest even number of bits that can express N values, with
cycle walking: a value that is not below N is permuted again until it is (Luby and Rackoff, 1988; Black and Rogaway,
"Ciphers with arbitrary finite domains", CT-RSA 2002). It was chosen because any place of any epoch can be computed
by itself in constant time, so that a verifier of one step needs no shuffled list, and because it depends on no
library's version.

Epochs follow each other without a dropped remainder: place p of the run is place ``p % N`` of epoch ``p // N``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pol_jax import array_types
from pol_jax.protocol.encoding import Digest, order_keys

ROUNDS: Final = 8
"""Rounds of the Feistel network. Four make a strong pseudo-random permutation of a random function (Luby and Rackoff);
eight leave room for a function that is fast and no cipher. The name ``feistel-splitmix64-8`` fixes the number."""

MAX_RECORDS: Final = 2**48

_CHUNK: Final = 2**16
"""This many places are permuted at a time."""


def batch_indices(
    commitment: Digest, records: int, batch_size: int, start: int, stop: int
) -> array_types.UInt64[np.ndarray, "steps batch"]:
    """Return the indices of the records of each batch, for the steps ``start`` (1 is the first) up to ``stop - 1``."""
    places = np.arange((start - 1) * batch_size, (stop - 1) * batch_size, dtype=np.uint64)
    for begin in range(0, len(places), _CHUNK):  # in chunks, so that temporary arrays stay in the processor's cache
        places[begin : begin + _CHUNK] = _indices(commitment, records, places[begin : begin + _CHUNK])
    return places.reshape(stop - start, batch_size)


def permute(
    keys: array_types.UInt64[np.ndarray, " rounds #n"], size: int, places: array_types.UInt64[np.ndarray, " n"]
) -> array_types.UInt64[np.ndarray, " n"]:
    """Return where the permutation of ``range(size)`` under ``keys`` sends each of ``places``, all below ``size``.

    Args:
        keys: the round keys: one column for all places, or one for each place.
        size: N, the number of values that are permuted.
        places: the places in the epoch.
    """
    # Both halves have the same number of bits, which a balanced network needs; so the width is rounded up to an even
    # one.
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    values = _feistel(keys, half, places)
    # Cycle walking: the network permutes a power of two, at most four times N. A value beyond N is permuted again,
    # which ends because a permutation has only cycles, and is a permutation of the N values below.
    walking = np.flatnonzero(values >= size)
    while len(walking):
        values[walking] = _feistel(keys if keys.shape[1] == 1 else keys[:, walking], half, values[walking])
        walking = walking[values[walking] >= size]
    return values


def _indices(
    commitment: Digest, records: int, places: array_types.UInt64[np.ndarray, " n"]
) -> array_types.UInt64[np.ndarray, " n"]:
    """Return the records at places of the run. The places may lie in many epochs: each in its own, if N is 1."""
    epochs, column = np.unique(places // np.uint64(records), return_inverse=True)
    keys = np.stack([order_keys(commitment, epoch, ROUNDS) for epoch in epochs.tolist()], axis=1)
    return permute(keys if len(epochs) == 1 else keys[:, column], records, places % np.uint64(records))


def _feistel(
    keys: array_types.UInt64[np.ndarray, " rounds #n"], half: np.uint64, values: array_types.UInt64[np.ndarray, " n"]
) -> array_types.UInt64[np.ndarray, " n"]:
    """Apply the Feistel network once, to values of two halves of ``half`` bits each."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) >> (np.uint64(64) - half))
    joined: np.ndarray = (left << half) | right
    return joined


def _mix(x: array_types.UInt64[np.ndarray, " n"]) -> array_types.UInt64[np.ndarray, " n"]:
    """Apply the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), in arithmetic modulo 2^64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed
