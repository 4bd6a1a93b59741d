"""Every byte layout that is hashed, and nothing else.

All hashes are BLAKE3 in ``derive_key`` mode: the context string is the domain tag, so that a digest made for one
meaning can never be taken for another. Integers are little-endian ``u64``; arrays are little-endian C-order bytes.
``docs/protocol.md`` specifies each layout to the byte; ``tests/vectors`` pins them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import numpy as np
from blake3 import blake3
from jaxtyping import UInt8, UInt64

FORMAT: Final = "pol-jax/1"
"""Version of every format in this package; the first field of every document."""

DIGEST_BYTES: Final = 32

_PARALLEL_BYTES: Final = 10_000_000
"""Above this size BLAKE3 is faster on several threads (measured); below, starting them costs more."""

Digest = bytes
"""32 bytes."""


def digest(context: str, payload: bytes | memoryview, length: int = DIGEST_BYTES) -> Digest:
    """BLAKE3 of ``payload`` in derive-key mode with the context ``"pol-jax/1 " + context``.

    Args:
        context: what the digest means; the domain tag.
        payload: the bytes.
        length: bytes of output; more than 32 reads on in BLAKE3's output stream.
    """
    threads = blake3.AUTO if len(payload) > _PARALLEL_BYTES else 1
    return blake3(payload, derive_key_context=f"{FORMAT} {context}", max_threads=threads).digest(length=length)


_record = partial(blake3, derive_key_context=f"{FORMAT} record")
_piece = partial(blake3, derive_key_context=f"{FORMAT} piece")
# Called for every record of every batch and every piece of every state: no layer between.


def u64(*values: int) -> bytes:
    """Each value as eight little-endian bytes."""
    return struct.pack(f"<{len(values)}Q", *values)


# --- documents ---------------------------------------------------------------------------------------------------


def document_digest(kind: str, canonical: bytes) -> Digest:
    """Digest of a canonical JSON document of a kind: ``commitment``, ``claim``, ``state spec``."""
    return digest(kind, canonical)


def artifact_digest(kind: str, artifact: bytes) -> Digest:
    """Digest of a serialized program: ``init program`` or ``step program``."""
    return digest(kind, artifact)


def file_digest(chunks: Iterable[bytes]) -> Digest:
    """Digest of a file's bytes, for the inventory."""
    hasher = blake3(derive_key_context=f"{FORMAT} file")
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digest()


# --- records -----------------------------------------------------------------------------------------------------


def record_digests(rows: UInt8[np.ndarray, "records bytes"], salts: Sequence[bytes] | None = None) -> list[Digest]:
    """Digest of each record: its leaves' bytes one after the other, in the order of the commitment.

    Args:
        rows: one record a row, contiguous.
        salts: 32 bytes for each record of a private data set; None for a public one.
    """
    if salts is None:
        return [_record(row).digest() for row in rows]
    return [digest("salted record", salt + row.tobytes()) for salt, row in zip(salts, rows, strict=True)]


def record_salt(secret: bytes, index: int) -> bytes:
    """The salt of record ``index``, from the 32-byte secret that the prover keeps."""
    return digest("record salt", secret + u64(index))


def batch_digest(records: Iterable[Digest]) -> Digest:
    """Digest of the records of a batch, in the order in which the step received them."""
    return digest("batch", b"".join(records))


# --- states ------------------------------------------------------------------------------------------------------


def state_digest(spec: Digest, pieces: Iterable[memoryview]) -> Digest:
    """Digest of a state: the digest of its specification, then that of every piece of every leaf, in order.

    Args:
        spec: digest of the canonical JSON list of leaves (path, dtype, shape, pieces, prng).
        pieces: little-endian C-order bytes of each piece, leaf by leaf, a leaf's pieces in row-major order.
    """
    digests = [
        (_piece(piece) if len(piece) < _PARALLEL_BYTES else _piece(piece, max_threads=blake3.AUTO)).digest()
        for piece in pieces
    ]
    return digest("state", spec + b"".join(digests))


# --- ledger ------------------------------------------------------------------------------------------------------


def row_bytes(
    step: int,
    key: bytes,
    indices: UInt64[np.ndarray, " batch"],
    batch: Digest,
    state: Digest | None,
    loss: bytes | None,
) -> bytes:
    """A ledger row as it is hashed.

    ``u64 step | u64 len(key) | key | u64 n | n * u64 index | batch digest | optional state digest | optional loss``,
    where something optional is ``u8 0``, or ``u8 1`` and the thing.

    Args:
        step: 0 for the initial state.
        key: key data of the step, ``uint32`` words, little-endian.
        indices: the records of the batch; empty in row 0.
        batch: digest of the batch; of no records in row 0.
        state: digest of the state after the step; None at a step without a witness.
        loss: four bytes, little-endian ``float32``; None in row 0.
    """
    parts = [u64(step, len(key)), key, u64(len(indices)), indices.astype("<u8", copy=False).tobytes(), batch]
    for optional in (state, loss):
        parts.append(b"\0" if optional is None else b"\1" + optional)
    return b"".join(parts)


def row_digest(row: bytes) -> Digest:
    """The leaf of the ledger's Merkle tree for a row."""
    return digest("ledger row", row)


def node_digest(left: Digest, right: Digest) -> Digest:
    """An inner node of a Merkle tree (RFC 6962's shape; BLAKE3 contexts in place of its prefix bytes)."""
    return digest("merkle node", left + right)


# --- what the commitment decides ---------------------------------------------------------------------------------


def order_keys(commitment: Digest, epoch: int, rounds: int) -> UInt64[np.ndarray, " rounds"]:
    """The round keys of the permutation of ``epoch``: the output stream of one digest."""
    return np.frombuffer(digest("order", commitment + u64(epoch), 8 * rounds), "<u8")


def draw_key(claim: Digest, nonce: bytes, policy: bytes) -> Digest:
    """The key of a random challenge: claim digest, verifier's nonce (length first), policy as canonical JSON."""
    return digest("challenge", claim + u64(len(nonce)) + nonce + policy)
