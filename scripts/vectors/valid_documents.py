"""These are valid documents of each kind, as plain values; every wound damages one of them in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pol_jax.protocol import encoding
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import encode
from pol_jax.protocol.inventory import Inventory
from vectors.form import Vector

PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "commitment": Commitment.parse,
    "claim": Claim.parse,
    "inventory": Inventory.parse,
}

COMMITMENT: Final[Vector] = {
    "beacon": None,
    "data": {
        "record": [
            {"dtype": "uint8", "path": "/image", "shape": [8, 8, 1]},
            {"dtype": "int32", "path": "/label", "shape": []},
        ],
        "records": 1442,
        "root": encoding.digest("record", b"root").hex(),
        "salted": False,
    },
    "arithmetic": None,
    "format": "pol-jax/2",
    "initial": {"origin": "key"},
    "mesh": None,
    "nonce": "0",
    "program": {
        "init": encoding.artifact_digest("init program", b"i").hex(),
        "loss": "loss",
        "metrics": ["accuracy", "loss"],
        "step": encoding.artifact_digest("step program", b"s").hex(),
    },
    "prover": None,
    "schedule": {
        "batch_size": 64,
        "interval": 50,
        "order": "feistel-splitmix64-8",
        "may_stop_early": False,
        "prng": "threefry2x32",
        "steps": 300,
        "witness_interval": 1,
    },
    "state": [
        {"dtype": "float32", "path": "/params/kernel", "pieces": [2, 1], "prng": None, "shape": [64, 10]},
        {"dtype": "uint32", "path": "/rngs/key", "pieces": [1], "prng": "threefry2x32", "shape": [2]},
    ],
    "task": {"hyperparameters": {"adam": True, "rate": 0.005, "width": 32}, "name": "digits"},
}

ENVIRONMENT_1: Final[Vector] = {
    "collectives": "none",
    "cpu": "a processor",
    "cpu_count": 2,
    "cpu_features": ["avx2", "fma"],
    "device_count": 1,
    "device_kind": "cpu",
    "jax": "0.12.0",
    "jaxlib": "0.12.0",
    "machine": "x86_64",
    "platform": "cpu",
    "platform_version": "cpu",
    "process_count": 1,
    "shardings": [],
    "xla_flags": [],
}
ENVIRONMENT: Final[Vector] = ENVIRONMENT_1 | {"libraries": [], "variables": []}

INTERVENTION: Final[Vector] = {
    "after": 100,
    "digest": encoding.state_digest(bytes(32), []).hex(),
    "leaves": ["/params/kernel"],
    "reason": "back to an earlier state after a spike of the loss",
}

CLAIM: Final[Vector] = {
    "commitment": encoding.document_digest("commitment", encode(COMMITMENT), encoding.FORMAT).hex(),
    "environments": [{"environment": ENVIRONMENT, "from": 0}],
    "final_state": encoding.state_digest(bytes(32), []).hex(),
    "format": "pol-jax/2",
    "interventions": [],
    "ledger_root": encoding.row_digest(b"").hex(),
    "steps": 300,
}

PROVER: Final = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""A commitment may name this key, which is that of the first test of RFC 8032."""

ENTRY: Final[Vector] = {"digest": encoding.file_digest([b"x"]).hex(), "size": 1}
"""An inventory says this of a file."""

INVENTORY: Final[Vector] = {
    "files": {
        name: ENTRY
        for name in (
            "commitment.json",
            "claim.json",
            "records",
            "program/init.jax_export",
            "ledger/0000000000.parquet",
            "checkpoints/0000000000/state/d/00ff",
        )
    },
    "format": "pol-jax/2",
}

DOCUMENTS: Final[dict[str, Vector]] = {"commitment": COMMITMENT, "claim": CLAIM, "inventory": INVENTORY}


def _without(value: Vector, *names: str) -> Vector:
    return {name: each for name, each in value.items() if name not in names}


_PROGRAM_1: Final = _without(COMMITMENT["program"], "loss")
_SCHEDULE_1: Final = _without(COMMITMENT["schedule"], "steps", "may_stop_early")

COMMITMENT_1: Final[Vector] = _without(COMMITMENT, "arithmetic", "mesh") | {
    "format": "pol-jax/1",
    "program": _PROGRAM_1,
    "schedule": _SCHEDULE_1,
}
CLAIM_1: Final[Vector] = _without(CLAIM, "environments", "interventions") | {
    "commitment": encoding.document_digest("commitment", encode(COMMITMENT_1), encoding.FORMAT_1).hex(),
    "environment": ENVIRONMENT_1,
    "format": "pol-jax/1",
}
INVENTORY_1: Final[Vector] = INVENTORY | {"format": "pol-jax/1"}

DOCUMENTS_1: Final[dict[str, Vector]] = {"commitment": COMMITMENT_1, "claim": CLAIM_1, "inventory": INVENTORY_1}
"""The same documents in version 1."""

MESH: Final[Vector] = {
    "axes": [{"name": "data", "size": 4}, {"name": "model", "size": 2}],
    "batch": ["data"],
    "state": [[["model"], []], [[]]],
}
"""A commitment says this of a run on eight devices, which cut the kernel in two and each batch in four."""

_TAKEN: Final[Vector] = {"digest": encoding.state_digest(bytes(32), []).hex(), "leaves": ["/params/kernel"]}

_EARLIER: Final = encoding.document_digest("claim", b"{}", encoding.FORMAT).hex()

FROM_PROOF: Final[Vector] = {"claim": _EARLIER, "origin": "proof", **_TAKEN}
FROM_WEIGHTS: Final[Vector] = {"origin": "weights", **_TAKEN}
"""A commitment says this of an initial state with a leaf from an earlier proof, or from weights without a proof."""
