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
    "format": "pol-jax/1",
    "initial": {"origin": "key"},
    "nonce": "0",
    "program": {
        "init": encoding.artifact_digest("init program", b"i").hex(),
        "metrics": ["accuracy", "loss"],
        "step": encoding.artifact_digest("step program", b"s").hex(),
    },
    "prover": None,
    "schedule": {
        "batch_size": 64,
        "interval": 50,
        "order": "feistel-splitmix64-8",
        "prng": "threefry2x32",
        "witness_interval": 1,
    },
    "state": [
        {"dtype": "float32", "path": "/params/kernel", "pieces": [2, 1], "prng": None, "shape": [64, 10]},
        {"dtype": "uint32", "path": "/rngs/key", "pieces": [1], "prng": "threefry2x32", "shape": [2]},
    ],
    "task": {"hyperparameters": {"adam": True, "rate": 0.005, "width": 32}, "name": "digits"},
}

CLAIM: Final[Vector] = {
    "commitment": encoding.document_digest("commitment", encode(COMMITMENT)).hex(),
    "environment": {
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
    },
    "final_state": encoding.state_digest(bytes(32), []).hex(),
    "format": "pol-jax/1",
    "ledger_root": encoding.row_digest(b"").hex(),
    "steps": 300,
}

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
    "format": "pol-jax/1",
}

DOCUMENTS: Final[dict[str, Vector]] = {"commitment": COMMITMENT, "claim": CLAIM, "inventory": INVENTORY}

_TAKEN: Final[Vector] = {"digest": encoding.state_digest(bytes(32), []).hex(), "leaves": ["/params/kernel"]}

FROM_PROOF: Final[Vector] = {"claim": encoding.document_digest("claim", b"{}").hex(), "origin": "proof", **_TAKEN}
FROM_WEIGHTS: Final[Vector] = {"origin": "weights", **_TAKEN}
"""A commitment says this of an initial state with a leaf from an earlier proof, or from weights without a proof."""
