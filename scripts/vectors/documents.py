"""These vectors pin valid documents with their digests, and refusals of wounded ones (docs/protocol.md, section 2)."""

from __future__ import annotations

from pol_jax.protocol import encoding
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from vectors import byte_wounds, field_wounds
from vectors.form import Vector
from vectors.valid_documents import COMMITMENT, DOCUMENTS, FROM_PROOF, FROM_WEIGHTS, PARSERS


def vectors() -> Vector:
    """Make the valid documents and the wounded ones.

    Raises:
        SystemExit: a valid document is refused, or a wounded one is not refused as it should be.
    """
    wounds = [*field_wounds.wounds(), *byte_wounds.wounds()]
    for wound in wounds:
        wound.check()
    return {"accepted": accepted(), "refused": [wound.vector() for wound in wounds]}


def accepted() -> list[Vector]:
    """Make a vector of each valid document; an inventory has no digest."""
    found = []
    for kind, value in DOCUMENTS.items():
        content = encode(value)
        PARSERS[kind](content)
        digest = None if kind == "inventory" else encoding.document_digest(kind, content).hex()
        found.append({"kind": kind, "text": content.decode(), "digest": digest})
    for initial in (FROM_PROOF, FROM_WEIGHTS):
        content = encode(COMMITMENT | {"initial": initial})
        digest = Commitment.parse(content).digest().hex()
        found.append({"kind": "commitment", "text": content.decode(), "digest": digest})
    return found
