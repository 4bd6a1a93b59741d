"""These vectors pin the digests under every context (docs/protocol.md, section 1)."""

from __future__ import annotations

from typing import Final

import numpy as np

from pol_jax.protocol import encoding
from pol_jax.protocol.documents import encode
from pol_jax.protocol.order import ROUNDS
from pol_jax.protocol.policies import RandomSegments
from vectors.form import Vector, pattern


def vectors() -> list[Vector]:
    """Make a digest for each context and a few sizes of payload, by the function of the package that names it."""
    found = [*_documents(), *_files(), *_records(), *_states(), *_derived()]
    return [{"context": context, "payload": x.hex(), "digest": y.hex()} for context, x, y in found]


Digested = tuple[str, bytes, bytes]
"""A context string, a payload, and its digest under that context."""

ONE: Final = encoding.FORMAT_1
TWO: Final = encoding.FORMAT


def _documents() -> list[Digested]:
    kinds = ("commitment", "claim", "inventory")
    return [
        *((f"{TWO} {kind}", b"{}", encoding.document_digest(kind, b"{}", TWO)) for kind in kinds),
        *((f"{ONE} {kind}", b"{}", encoding.document_digest(kind, b"{}", ONE)) for kind in kinds[:2]),
        (f"{ONE} state spec", b"[]", encoding.document_digest("state spec", b"[]")),
    ]


def _files() -> list[Digested]:
    return [
        (f"{ONE} init program", pattern(9), encoding.artifact_digest("init program", pattern(9))),
        (f"{ONE} step program", pattern(9), encoding.artifact_digest("step program", pattern(9))),
        (f"{ONE} file", b"", encoding.file_digest([])),
        (f"{ONE} file", pattern(9), encoding.file_digest([pattern(4), pattern(5, 4)])),
    ]


def _records() -> list[Digested]:
    """Digest two records of 12 bytes, plain and salted, and batches of them."""
    secret = pattern(32, 200)
    rows = np.frombuffer(pattern(24), np.uint8).reshape(2, 12)
    plain = encoding.record_digests(rows)
    salts, salts_1 = (
        [encoding.record_salt(secret, index, each, version) for index, each in zip((0, 2**40), plain, strict=True)]
        for version in (TWO, ONE)
    )
    salted = encoding.record_digests(rows, salts)
    return [
        (f"{ONE} record", rows[0].tobytes(), plain[0]),
        (f"{ONE} record", rows[1].tobytes(), plain[1]),
        (f"{TWO} record salt", secret + encoding.u64(0) + plain[0], salts[0]),
        (f"{TWO} record salt", secret + encoding.u64(2**40) + plain[1], salts[1]),
        (f"{ONE} record salt", secret + encoding.u64(0), salts_1[0]),
        (f"{ONE} salted record", salts[0] + rows[0].tobytes(), salted[0]),
        (f"{ONE} salted record", salts[1] + rows[1].tobytes(), salted[1]),
        (f"{ONE} batch", b"", encoding.batch_digest([])),
        (f"{ONE} batch", plain[0] + plain[1], encoding.batch_digest(plain)),
        (f"{ONE} batch", plain[1] + plain[0], encoding.batch_digest(plain[::-1])),
    ]


def _states() -> list[Digested]:
    a, b, piece = pattern(32), pattern(32, 100), pattern(3000)
    return [
        (f"{ONE} piece", b"", encoding.digest("piece", b"")),
        (f"{ONE} piece", piece, encoding.digest("piece", piece)),
        (f"{ONE} state", a + b, encoding.digest("state", a + b)),
    ]


def _derived() -> list[Digested]:
    """Digest rows and nodes, and derive keys of orders and draws."""
    a, b, policy = pattern(32), pattern(32, 100), encode(RandomSegments())
    return [
        *((f"{each} ledger row", pattern(58), encoding.row_digest(pattern(58), each)) for each in (TWO, ONE)),
        (f"{ONE} merkle node", a + b, encoding.node_digest(a, b)),
        (f"{ONE} order", a + encoding.u64(3), encoding.order_keys(a, 3, ROUNDS).tobytes()),
        (f"{TWO} challenge", a + encoding.u64(3) + b"xyz" + policy, encoding.draw_key(a, b"xyz", policy, 80, TWO)),
        (f"{ONE} challenge", a + encoding.u64(3) + b"xyz" + policy, encoding.draw_key(a, b"xyz", policy, 32, ONE)),
    ]
