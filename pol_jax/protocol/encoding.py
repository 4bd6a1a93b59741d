"""Every byte layout that is hashed is defined here (docs/protocol.md, sections 1 to 8).

All hashes are BLAKE3 in ``derive_key`` mode. The context string says what a digest means, so that a digest that was
made for one meaning can never be taken for one of another. It begins with the version of the format in which the layout
of what is hashed changed last, so that layouts that two versions share have one digest. Integers are little-endian
``u64``; arrays are little-endian bytes in C order. ``docs/protocol.md`` specifies each layout to the byte, and
``tests/vectors`` hold examples of each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Literal

import numpy as np
from blake3 import blake3

from pol_jax import array_types

Format = Literal["pol-jax/1", "pol-jax/2"]
"""The versions that a reader knows; a document names its own in ``format``."""

FORMAT_1: Final = "pol-jax/1"
FORMAT: Final = "pol-jax/2"
"""Provers write this version."""

DIGEST_BYTES: Final = 32

PARALLEL_BYTES: Final = 10_000_000
"""From this size on, BLAKE3 is faster on several threads (measured); below it, starting them costs more."""

Digest = bytes
"""A digest is 32 bytes long."""


def digest(
    context: str, payload: bytes | memoryview, length: int = DIGEST_BYTES, *, version: Format = FORMAT_1
) -> Digest:
    """Return ``H[context](payload)`` of docs/protocol.md, section 1.

    It is BLAKE3 in derive-key mode with the context string ``version + " " + context``.

    Args:
        context: what the digest means; it separates the digests of one meaning from those of all others.
        payload: the bytes that are hashed.
        length: number of bytes of output; beyond 32, they are the next ones of BLAKE3's output stream.
        version: of the format that this layout is first in; layouts of version 1 that have not changed keep it.
    """
    # The digest is the same with any number of threads; only the time differs.
    threads = blake3.AUTO if len(payload) > PARALLEL_BYTES else 1
    return blake3(payload, derive_key_context=f"{version} {context}", max_threads=threads).digest(length=length)


PIECE_CONTEXT: Final = f"{FORMAT_1} piece"

_record = partial(blake3, derive_key_context=f"{FORMAT_1} record")
_piece = partial(blake3, derive_key_context=PIECE_CONTEXT)
# These two are called for every record of every batch and for every piece of every state. Partial functions that
# return the hasher itself cost less than a call of `digest`.


def u64(*values: int) -> bytes:
    """Return the values as little-endian integers of eight bytes each, one after the other."""
    return struct.pack(f"<{len(values)}Q", *values)


# --- documents ---------------------------------------------------------------------------------------------------


def document_digest(kind: str, canonical: bytes, version: Format = FORMAT_1) -> Digest:
    """Return the digest of a canonical JSON document.

    Args:
        kind: ``commitment``, ``claim``, ``inventory`` or ``state spec``.
        canonical: the bytes of the document.
        version: the document's own; that of ``state spec`` is 1.
    """
    return digest(kind, canonical, version=version)


def artifact_digest(kind: str, artifact: bytes) -> Digest:
    """Return the digest of a serialized program; its kind is ``init program`` or ``step program``."""
    return digest(kind, artifact)


def file_digest(chunks: Iterable[bytes]) -> Digest:
    """Return the digest of the bytes of a file, for the inventory (section 2.3)."""
    hasher = blake3(derive_key_context=f"{FORMAT_1} file")
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digest()


# --- records -----------------------------------------------------------------------------------------------------


def record_digests(
    rows: array_types.UInt8[np.ndarray, "records bytes"], salts: Sequence[bytes] | None = None
) -> list[Digest]:
    """Return the digest of each record (section 3).

    What is hashed are the bytes of the record's leaves, one after the other in the order of the commitment.

    Args:
        rows: the bytes of one record in each row, contiguous in memory.
        salts: 32 bytes for each record of a private data set; None for a public one.
    """
    if salts is None:
        return [_record(row).digest() for row in rows]
    # Without a salt, anyone could guess a private record and confirm the guess by its digest.
    return [digest("salted record", salt + row.tobytes()) for salt, row in zip(salts, rows, strict=True)]


def record_salt(secret: bytes, index: int, record: Digest, version: Format = FORMAT) -> bytes:
    """Return the salt of record ``index``, which follows from the 32-byte secret that the prover keeps (section 3).

    The salt depends on the record too: one secret may serve two data sets, and a salt that is opened in the one says
    nothing about the record with the same index in the other. It did not in version 1.

    Args:
        secret: 32 bytes.
        index: place of the record in the source.
        record: the record's digest without a salt.
        version: of the commitment.
    """
    if version == FORMAT_1:
        return digest("record salt", secret + u64(index))
    return digest("record salt", secret + u64(index) + record, version=FORMAT)


def batch_digest(records: Iterable[Digest]) -> Digest:
    """Return the digest of a batch from those of its records, in the order in which the step received them."""
    return digest("batch", b"".join(records))


# --- states ------------------------------------------------------------------------------------------------------


def piece_digest(piece: memoryview) -> Digest:
    """Return the digest of one piece of a leaf (section 4), given its little-endian bytes in C order."""
    return (_piece(piece) if len(piece) <= PARALLEL_BYTES else _piece(piece, max_threads=blake3.AUTO)).digest()


def state_digest(spec: Digest, pieces: Iterable[Digest]) -> Digest:
    """Return the digest of a state (section 4).

    What is hashed is the digest of the state's specification, then that of every piece of every leaf, in order. The
    specification is part of it so that equal bytes under other names, dtypes or shapes are another state.

    Args:
        spec: digest of the canonical JSON list of leaves (path, dtype, shape, pieces, prng).
        pieces: digests of the pieces, leaf by leaf, a leaf's pieces in row-major order.
    """
    # No lengths are needed between the parts: the specification fixes how many pieces there are, and each digest has 32
    # bytes.
    return digest("state", spec + b"".join(pieces))


# --- ledger ------------------------------------------------------------------------------------------------------


def row_bytes(
    step: int,
    key: bytes,
    indices: array_types.UInt64[np.ndarray, " batch"],
    batch: Digest,
    state: Digest | None,
    metrics: bytes,
    version: Format = FORMAT,
) -> bytes:
    """Return the bytes of a ledger row, as they are hashed (section 5).

    They are ``u64 step | u64 len(key) | key | u64 n | n * u64 index | batch digest | optional state digest | u64 m |
    metrics``. An optional field is ``u8 0`` where it is missing, else ``u8 1`` and its bytes. In version 1 there is an
    optional loss in the place of all metrics.

    Args:
        step: number of the step; 0 is the row of the initial state.
        key: key data of the step, ``uint32`` words, little-endian.
        indices: the records of the batch; empty in row 0.
        batch: digest of the batch; in row 0 that of a batch of no records.
        state: digest of the state after the step; None at a step without a witness.
        metrics: four bytes for each of the m metrics, little-endian ``float32``; empty in row 0.
        version: of the commitment.
    """
    head = [u64(step, len(key)), key, u64(len(indices)), indices.astype("<u8", copy=False).tobytes(), batch]
    # Every part of variable length has its length before it, so that no two rows have the same bytes (section 5).
    values = _optional(metrics or None) if version == FORMAT_1 else u64(len(metrics) // 4) + metrics
    return b"".join([*head, _optional(state), values])


def _optional(field: bytes | None) -> bytes:
    """Return the bytes of a field that may be missing; the flag keeps rows with and without it apart."""
    return b"\0" if field is None else b"\1" + field


def row_digest(row: bytes, version: Format = FORMAT) -> Digest:
    """Return the digest of a row, given its bytes: a leaf of the ledger's Merkle tree (section 5)."""
    return digest("ledger row", row, version=version)


def node_digest(left: Digest, right: Digest) -> Digest:
    """Return the digest of an inner node of a Merkle tree (section 6).

    The tree has the shape of RFC 6962; a context of BLAKE3 takes the place of the prefix bytes there.
    """
    return digest("merkle node", left + right)


# --- what the commitment decides ---------------------------------------------------------------------------------


def order_keys(commitment: Digest, epoch: int, rounds: int) -> array_types.UInt64[np.ndarray, " rounds"]:
    """Return the round keys of the permutation of ``epoch``: the output stream of one digest (section 8)."""
    # The epoch is part of the payload: each epoch has an order of its own, and none needs those before it.
    return np.frombuffer(digest("order", commitment + u64(epoch), 8 * rounds), "<u8")


def draw_key(claim: Digest, nonce: bytes, policy: bytes, length: int, version: Format = FORMAT) -> bytes:
    """Return the first ``length`` bytes of the stream from which a random challenge is drawn (section 12.1).

    Its payload is the claim's digest, the length of the verifier's nonce, the nonce, and the policy as canonical JSON.
    """
    # The length comes first, so that no other pair of nonce and policy has the same bytes.
    return digest("challenge", claim + u64(len(nonce)) + nonce + policy, length, version=version)
