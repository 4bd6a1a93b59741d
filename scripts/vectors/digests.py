"""These vectors pin the digests under every context (docs/protocol.md, section 1)."""

from __future__ import annotations

import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.challenge import RandomSegments
from pol_jax.protocol.documents import encode
from pol_jax.protocol.order import ROUNDS
from vectors.form import Vector, pattern


def vectors() -> list[Vector]:
    """Make a digest for each context and a few sizes of payload, by the function of the package that names it."""
    found = [*_documents(), *_files(), *_records(), *_states(), *_derived()]
    return [{"context": context, "payload": x.hex(), "digest": y.hex()} for context, x, y in found]


Digested = tuple[str, bytes, bytes]
"""A context, a payload, and its digest under that context."""


def _documents() -> list[Digested]:
    return [
        ("commitment", b"{}", encoding.document_digest("commitment", b"{}")),
        ("claim", b"{}", encoding.document_digest("claim", b"{}")),
        ("state spec", b"[]", encoding.document_digest("state spec", b"[]")),
    ]


def _files() -> list[Digested]:
    return [
        ("init program", pattern(9), encoding.artifact_digest("init program", pattern(9))),
        ("step program", pattern(9), encoding.artifact_digest("step program", pattern(9))),
        ("file", b"", encoding.file_digest([])),
        ("file", pattern(9), encoding.file_digest([pattern(4), pattern(5, 4)])),
    ]


def _records() -> list[Digested]:
    """Digest two records of 12 bytes, plain and salted, and batches of them."""
    secret = pattern(32, 200)
    rows = np.frombuffer(pattern(24), np.uint8).reshape(2, 12)
    salts = [encoding.record_salt(secret, index) for index in (0, 2**40)]
    plain, salted = encoding.record_digests(rows), encoding.record_digests(rows, salts)
    return [
        ("record", rows[0].tobytes(), plain[0]),
        ("record", rows[1].tobytes(), plain[1]),
        ("record salt", secret + encoding.u64(0), salts[0]),
        ("record salt", secret + encoding.u64(2**40), salts[1]),
        ("salted record", salts[0] + rows[0].tobytes(), salted[0]),
        ("salted record", salts[1] + rows[1].tobytes(), salted[1]),
        ("batch", b"", encoding.batch_digest([])),
        ("batch", plain[0] + plain[1], encoding.batch_digest(plain)),
        ("batch", plain[1] + plain[0], encoding.batch_digest(plain[::-1])),
    ]


def _states() -> list[Digested]:
    a, b, piece = pattern(32), pattern(32, 100), pattern(3000)
    return [
        ("piece", b"", encoding.digest("piece", b"")),
        ("piece", piece, encoding.digest("piece", piece)),
        ("state", a + b, encoding.digest("state", a + b)),
    ]


def _derived() -> list[Digested]:
    """Digest rows and nodes, and derive keys of orders and draws."""
    a, b, policy = pattern(32), pattern(32, 100), encode(RandomSegments())
    return [
        ("ledger row", pattern(58), encoding.row_digest(pattern(58))),
        ("merkle node", a + b, encoding.node_digest(a, b)),
        ("order", a + encoding.u64(3), encoding.order_keys(a, 3, ROUNDS).tobytes()),
        ("challenge", a + encoding.u64(3) + b"xyz" + policy, encoding.draw_key(a, b"xyz", policy)),
    ]
