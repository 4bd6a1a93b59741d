"""A claim that a prover signed, the envelope around it, and what others make of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting.attestation import attest_claim, read_attestation
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import name_final

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
THIEF = Ed25519PrivateKey.from_private_bytes(bytes(32))
CLAIM = canonical_bytes({"format": "pol-jax/1", "steps": 300, "final_state": "ab" * 32})
ARRAYS = {"/params/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
SUBJECTS = name_final(
    parameters=digest_arrays(ARRAYS), state=digest_arrays(ARRAYS | {"/step": np.array([3], np.int32)})
)
ENVELOPE = attest_claim(CLAIM, SUBJECTS, KEY)


def read(content: bytes, **changes: Any) -> Any:
    """What is read of an envelope of a claim, or of another kind."""
    return read_attestation(content, changes.pop("kind", "claim"), where="claim.dsse.json", **changes)


def changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The envelope after a change."""
    found = json.loads(ENVELOPE)
    change(found)
    return canonical_bytes(found)


def with_signature_of(key: Ed25519PrivateKey) -> Callable[[dict[str, Any]], Any]:
    """A change that adds somebody's signature."""
    other = json.loads(attest_claim(CLAIM, SUBJECTS, key))["signatures"]
    return lambda found: found["signatures"].extend(other)
