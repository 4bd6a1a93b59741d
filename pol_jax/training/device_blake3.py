"""BLAKE3 as a Pallas kernel: equal pieces of an array are digested on the accelerator that has them (section 4).

The bytes are those that the host would digest, and so are the digests. A piece falls into chunks of 1024 bytes, which
are compressed side by side, each in 16 blocks of 64 bytes; the tree above them is a thirty-second of the work, and
plain jax. The rounds of a compression are a loop: unrolled, they take XLA a minute to compile.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

Words = tuple[jax.Array, ...]
"""Words are those of many compressions side by side: the first of each, the second of each, and so on."""

_IV: Final = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION: Final = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_COLUMNS: Final = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS: Final = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_ROUNDS: Final = 7
_START, _END, _PARENT, _ROOT, _CONTEXT, _MATERIAL = 1, 2, 4, 8, 32, 64
"""Flags of a compression; like all numbers above, they are those of BLAKE3's specification (section 2)."""

_BLOCK_BYTES: Final = 64
_CHUNK_BYTES: Final = 1024
_CHUNK_WORDS: Final = _CHUNK_BYTES // 4
_LANES: Final = 128
_TPU_ROWS: Final = 8
"""A program of the kernel compresses 128 chunks, a word of each in a register of a thread; on TPUs 8 times as many, a
word of each in one vector register."""


def context_key(context: str) -> tuple[int, ...]:
    """Return the key words of BLAKE3's derive-key mode for a context of at most 64 bytes.

    Raises:
        ValueError: the context is longer than a block.
    """
    content = context.encode()
    if len(content) > _BLOCK_BYTES:
        raise ValueError(f"context: {len(content)} bytes, expected at most {_BLOCK_BYTES}")
    words = np.frombuffer(content.ljust(_BLOCK_BYTES, b"\0"), "<u4").astype(np.uint32)
    with jax.ensure_compile_time_eval():
        found = _compress(
            _constants(_IV), tuple(map(jnp.uint32, words)), 0, len(content), _START | _END | _ROOT | _CONTEXT
        )
        return tuple(int(word) for word in found)


def digest_pieces(pieces: jax.Array, key: tuple[int, ...], platform: str) -> jax.Array:
    """Return the digests of equal pieces of an array: ``uint32[pieces, 8]``, whose bytes are little-endian.

    Args:
        pieces: one in each row, of any dtype; a row has at least one element.
        key: of the context (`context_key`).
        platform: of the devices that have them, as jax names it; on ``cpu`` the kernel is interpreted.
    """
    count, nbytes = pieces.shape[0], pieces.shape[1] * pieces.dtype.itemsize
    chunks = -(-nbytes // _CHUNK_BYTES)
    words = _words(pieces)
    words = jnp.pad(words, ((0, 0), (0, chunks * _CHUNK_WORDS - words.shape[1])))
    rows = _TPU_ROWS if platform == "tpu" else 1
    most = rows * _LANES
    # Filled up to whole programs of the kernel; what comes of the chunks that were added is cut off below.
    across = jnp.pad(words.reshape(-1, _CHUNK_WORDS), ((0, -count * chunks % most), (0, 0))).T
    values = _chunks(across.reshape(_CHUNK_WORDS, -1, _LANES), key, nbytes, chunks, rows, platform)
    values = values.reshape(8, -1)[:, : count * chunks].reshape(8, count, chunks)
    return _tree(values, key).T


def _chunks(words: jax.Array, key: tuple[int, ...], nbytes: int, chunks: int, rows: int, platform: str) -> jax.Array:
    """Return the chaining value of every chunk; the word and the place in its rows are the first and the last axes."""
    _, height, lanes = words.shape
    last_bytes = nbytes - (chunks - 1) * _CHUNK_BYTES

    def kernel(words_ref: Any, values_ref: Any) -> None:
        shape = (rows, lanes)
        first = pl.program_id(0) * (rows * lanes)
        place = lax.broadcasted_iota(jnp.int32, shape, 0) * lanes + lax.broadcasted_iota(jnp.int32, shape, 1)
        number = (first + place) % chunks
        size = jnp.where(number == chunks - 1, last_bytes, _CHUNK_BYTES)
        last = (size - 1) // _BLOCK_BYTES
        root = _ROOT if chunks == 1 else 0

        def block(at: jax.Array, value: Words) -> Words:
            message = tuple(words_ref[at * 16 + word] for word in range(16))
            start = jnp.where(at == 0, _START, 0)
            flags = jnp.where(at == last, _END | root, 0) | start | _MATERIAL
            length = jnp.minimum(size - at * _BLOCK_BYTES, _BLOCK_BYTES)
            found = _compress(value, message, number, length, flags)
            # Every chunk goes through 16 blocks, so that all lanes do the same; what is beyond its end is dropped.
            return tuple(jnp.where(at <= last, new, old) for new, old in zip(found, value, strict=True))

        begun = tuple(jnp.full(shape, word, jnp.uint32) for word in key)
        for word, value in enumerate(lax.fori_loop(0, _CHUNK_BYTES // _BLOCK_BYTES, block, begun)):
            values_ref[word] = value

    values: jax.Array = pl.pallas_call(
        kernel,
        grid=(height // rows,),
        in_specs=[pl.BlockSpec((_CHUNK_WORDS, rows, lanes), lambda at: (0, at, 0))],
        out_specs=pl.BlockSpec((8, rows, lanes), lambda at: (0, at, 0)),
        out_shape=jax.ShapeDtypeStruct((8, height, lanes), jnp.uint32),
        interpret=platform == "cpu",
        # 128 chunks, a thread for each: four warps of 32.
        compiler_params=None if platform in {"cpu", "tpu"} else triton.CompilerParams(num_warps=4),
    )(words)
    return values


def _tree(values: jax.Array, key: tuple[int, ...]) -> jax.Array:
    """Return the root of each piece's tree, from the chaining values of its chunks along the last axis.

    Neighbours are joined, level by level, and one that is left over goes up as it is: that is BLAKE3's tree, whose left
    part has a power of two of chunks.
    """
    while (count := values.shape[-1]) > 1:
        pairs, odd = values[..., : count - count % 2], values[..., count - count % 2 :]
        message = tuple(pairs[..., 0::2]) + tuple(pairs[..., 1::2])
        flags = _PARENT | _MATERIAL | (_ROOT if count == 2 else 0)
        begun = tuple(jnp.full_like(message[0], word) for word in key)
        joined = jnp.stack(_compress(begun, message, 0, _BLOCK_BYTES, flags))
        values = jnp.concatenate([joined, odd], axis=-1)
    return values[..., 0]


def _compress(
    value: Words, message: Words, counter: jax.Array | int, length: jax.Array | int, flags: jax.Array | int
) -> Words:
    """Return the first half of the compression of one block each, which is the next chaining value."""
    low, size, what = (jnp.broadcast_to(each, message[0].shape).astype(jnp.uint32) for each in (counter, length, flags))
    rest = tuple(jnp.full_like(low, word) for word in _IV[:4])
    state = (*value, *rest, low, jnp.zeros_like(low), size, what)

    def turn(_: jax.Array | int, carried: tuple[Words, Words]) -> tuple[Words, Words]:
        words, block = list(carried[0]), carried[1]
        for at, places in enumerate((*_COLUMNS, *_DIAGONALS)):
            _mix(words, places, block[2 * at], block[2 * at + 1])
        return tuple(words), tuple(block[place] for place in _PERMUTATION)

    state, _ = lax.fori_loop(0, _ROUNDS, turn, (state, message))
    return tuple(state[at] ^ state[at + 8] for at in range(8))


def _mix(words: list[jax.Array], places: tuple[int, int, int, int], x: jax.Array, y: jax.Array) -> None:
    a, b, c, d = places
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        words[a] = words[a] + words[b] + word
        words[d] = _rotated(words[d] ^ words[a], first)
        words[c] = words[c] + words[d]
        words[b] = _rotated(words[b] ^ words[c], second)


def _rotated(word: jax.Array, by: int) -> jax.Array:
    return lax.shift_right_logical(word, jnp.uint32(by)) | lax.shift_left(word, jnp.uint32(32 - by))


def _constants(words: tuple[int, ...]) -> Words:
    return tuple(map(jnp.uint32, words))


def _words(rows: jax.Array) -> jax.Array:
    """Return the bytes of each row as little-endian words of 32 bits; the last one is filled up with zeros."""
    if rows.dtype == jnp.bool_:
        rows = rows.astype(jnp.uint8)
    if jnp.issubdtype(rows.dtype, jnp.complexfloating):
        rows = jnp.stack([rows.real, rows.imag], axis=-1).reshape(len(rows), -1)
    size = rows.dtype.itemsize
    if size >= 4:  # a wide element becomes two words, the low one first
        return lax.bitcast_convert_type(rows, jnp.uint32).reshape(len(rows), -1)
    each = 4 // size
    parts = lax.bitcast_convert_type(rows, {1: jnp.uint8, 2: jnp.uint16}[size]).astype(jnp.uint32)
    parts = jnp.pad(parts, ((0, 0), (0, -parts.shape[1] % each))).reshape(len(rows), -1, each)
    return partial(jnp.sum, axis=-1, dtype=jnp.uint32)(parts << (jnp.arange(each, dtype=jnp.uint32) * (8 * size)))
