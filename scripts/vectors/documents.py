"""These vectors pin valid documents with their digests, and refusals of wounded ones (docs/protocol.md, section 2)."""

from __future__ import annotations

from pol_jax.protocol.documents import encode
from vectors import byte_wounds, field_wounds
from vectors.form import Vector
from vectors.valid_documents import (
    CLAIM,
    COMMITMENT,
    COMMITMENT_1,
    DOCUMENTS,
    DOCUMENTS_1,
    ENVIRONMENT,
    FROM_PROOF,
    FROM_WEIGHTS,
    INTERVENTION,
    MESH,
    PARSERS,
    PROVER,
)


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
    """Make a vector of each valid document, those of today's version first."""
    changes: list[Vector] = [
        {"initial": FROM_PROOF},
        {"initial": FROM_WEIGHTS},
        {"arithmetic": "exact/1", "mesh": MESH},
        {"schedule": COMMITMENT["schedule"] | {"may_stop_early": True, "prng": "unsafe_rbg"}},
        {"program": COMMITMENT["program"] | {"loss": "nll", "metrics": ["accuracy", "nll"]}, "prover": PROVER},
    ]
    later = [{"environment": ENVIRONMENT | {"variables": ["NCCL_ALGO=Ring"]}, "from": at} for at in (0, 150)]
    return [
        *(_accepted(kind, value) for kind, value in DOCUMENTS.items()),
        *(_accepted("commitment", COMMITMENT | change) for change in changes),
        _accepted("claim", CLAIM | {"environments": later, "interventions": [INTERVENTION]}),
        *(_accepted(kind, value) for kind, value in DOCUMENTS_1.items()),
        *(_accepted("commitment", COMMITMENT_1 | {"initial": each}) for each in (FROM_PROOF, FROM_WEIGHTS)),
    ]


def _accepted(kind: str, value: Vector) -> Vector:
    content = encode(value)
    parsed = PARSERS[kind](content)
    digest = (parsed.digest() or b"").hex() or None
    return {"kind": kind, "text": content.decode(), "digest": digest}
