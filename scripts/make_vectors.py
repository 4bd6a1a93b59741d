"""Write the test vectors, and the worked bytes of docs/protocol.md that are cut from them.

    python scripts/make_vectors.py            write tests/vectors/*.json and the marked blocks of the document
    python scripts/make_vectors.py --check    change nothing; exit 1 and name what differs

The vectors pin the formats: a difference that this finds is a break of the format, unless the document and the version
were changed first.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import msgspec
import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol import encoding, merkle
from pol_jax.protocol.challenge import (
    METRICS,
    JointSegments,
    RandomSegments,
    RandomSteps,
    Stretch,
    TopSegments,
    draw,
    draw_steps,
)
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.distances import distance
from pol_jax.protocol.documents import encode
from pol_jax.protocol.inventory import Inventory
from pol_jax.protocol.keys import root_key
from pol_jax.protocol.order import ROUNDS, batch_indices, permute
from pol_jax.protocol.rows import Row
from pol_jax.protocol.sampling import false_segments, segments_needed
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.training.initial_state import digest_of
from pol_jax.training.keys import step_keys
from pol_jax.training.states import Layout

ROOT: Final = Path(__file__).resolve().parents[1]
VECTORS: Final = ROOT / "tests" / "vectors"
DOCUMENT: Final = ROOT / "docs" / "protocol.md"

PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "commitment": Commitment.parse,
    "claim": Claim.parse,
    "inventory": Inventory.parse,
}

Vector = dict[str, Any]


def pattern(size: int, start: int = 0) -> bytes:
    """Bytes that are easy to write down: start, start + 1, ... modulo 251."""
    return bytes((start + at) % 251 for at in range(size))


# --- digests -----------------------------------------------------------------------------------------------------


def digests() -> list[Vector]:
    """Every context with payloads of a few sizes, by the functions that name it."""
    a, b, secret = pattern(32), pattern(32, 100), pattern(32, 200)
    rows = np.frombuffer(pattern(24), np.uint8).reshape(2, 12)
    salts = [encoding.record_salt(secret, index) for index in (0, 2**40)]
    plain, salted = encoding.record_digests(rows), encoding.record_digests(rows, salts)
    policy = encode(RandomSegments())
    piece = np.frombuffer(pattern(3000), np.uint8)
    found: list[tuple[str, bytes, bytes]] = [
        ("commitment", b"{}", encoding.document_digest("commitment", b"{}")),
        ("claim", b"{}", encoding.document_digest("claim", b"{}")),
        ("state spec", b"[]", encoding.document_digest("state spec", b"[]")),
        ("init program", pattern(9), encoding.artifact_digest("init program", pattern(9))),
        ("step program", pattern(9), encoding.artifact_digest("step program", pattern(9))),
        ("file", b"", encoding.file_digest([])),
        ("file", pattern(9), encoding.file_digest([pattern(4), pattern(5, 4)])),
        ("record", rows[0].tobytes(), plain[0]),
        ("record", rows[1].tobytes(), plain[1]),
        ("record salt", secret + encoding.u64(0), salts[0]),
        ("record salt", secret + encoding.u64(2**40), salts[1]),
        ("salted record", salts[0] + rows[0].tobytes(), salted[0]),
        ("salted record", salts[1] + rows[1].tobytes(), salted[1]),
        ("batch", b"", encoding.batch_digest([])),
        ("batch", plain[0] + plain[1], encoding.batch_digest(plain)),
        ("batch", plain[1] + plain[0], encoding.batch_digest(plain[::-1])),
        ("piece", b"", encoding.digest("piece", b"")),
        ("piece", piece.tobytes(), encoding.digest("piece", piece.tobytes())),
        ("state", a + b, encoding.digest("state", a + b)),
        ("ledger row", pattern(58), encoding.row_digest(pattern(58))),
        ("merkle node", a + b, encoding.node_digest(a, b)),
        ("order", a + encoding.u64(3), encoding.order_keys(a, 3, ROUNDS).tobytes()),
        ("challenge", a + encoding.u64(3) + b"xyz" + policy, encoding.draw_key(a, b"xyz", policy)),
    ]
    return [{"context": context, "payload": x.hex(), "digest": y.hex()} for context, x, y in found]


# --- states ------------------------------------------------------------------------------------------------------


def _leaf(path: str, dtype: str, shape: tuple[int, ...], pieces: tuple[int, ...] = (), prng: str | None = None) -> Any:
    return LeafSpec(path, dtype, shape, pieces or (1,) * len(shape), prng)


def state_cases() -> dict[str, list[tuple[LeafSpec, np.ndarray]]]:
    """States by name: leaves with their arrays."""

    def filled(spec: LeafSpec, start: int) -> tuple[LeafSpec, np.ndarray]:
        content = pattern(spec.nbytes, start)
        if spec.dtype == "bool":
            content = bytes(byte % 2 for byte in content)
        return spec, np.frombuffer(content, DTYPES[spec.dtype]).reshape(spec.shape)

    bfloat16 = np.array([[1, -2, 0.5], [float("inf"), float("nan"), -0.0]], ml_dtypes.bfloat16)
    return {
        "one float": [(_leaf("", "float32", ()), np.array(1.5, np.float32))],
        "bfloat16, bool, zero-size": [
            (_leaf("/a", "bfloat16", (2, 3)), bfloat16),
            (_leaf("/b", "bool", (3,)), np.array([True, False, True])),
            (_leaf("/c", "float32", (0, 3)), np.empty((0, 3), np.float32)),
        ],
        "keys": [
            (_leaf("/rngs/dropout", "uint32", (2,), prng="threefry2x32"), np.array([1, 2], np.uint32)),
            (_leaf("/rngs/noise", "uint32", (2, 4), prng="rbg"), np.arange(8, dtype=np.uint32).reshape(2, 4)),
        ],
        "words, no key": [(_leaf("/rngs/dropout", "uint32", (2,)), np.array([1, 2], np.uint32))],
        "one piece": [filled(_leaf("/w", "int16", (4, 6)), 5)],
        "six pieces": [filled(_leaf("/w", "int16", (4, 6), (2, 3)), 5)],
        "pieces of three axes": [filled(_leaf("/w", "uint8", (2, 4, 6), (1, 4, 2)), 7)],
        "escaped path": [filled(_leaf("/a~1b/~0c/é", "int8", (3,)), 9)],
        "every dtype": [filled(_leaf(f"/{name}", name, (2,)), at) for at, name in enumerate(DTYPES)],
    }


def states() -> list[Vector]:
    """Specification, bytes of the leaves, digests."""
    found = []
    for name, pairs in state_cases().items():
        spec, arrays = tuple(spec for spec, _ in pairs), [array for _, array in pairs]
        found.append(
            {
                "name": name,
                "spec": encode(list(spec)).decode(),
                "leaves": [array.tobytes().hex() for array in arrays],
                "spec_digest": encoding.document_digest("state spec", encode(list(spec))).hex(),
                "digest": Layout(spec).gather(arrays).digest().hex(),
            }
        )
    return found


def starts() -> list[Vector]:
    """Leaves that are taken over into an initial state: specification of the state, all leaves, the paths, digest."""
    found = []
    for name, paths in {
        "one of several": ("/b",),
        "the first and the last": ("/a", "/c"),
        "all": ("/a", "/b", "/c"),
        "in pieces": ("/w",),
        "a state of one leaf": ("",),
    }.items():
        case = {"in pieces": "six pieces", "a state of one leaf": "one float"}.get(name, "bfloat16, bool, zero-size")
        pairs = state_cases()[case]
        chosen = [(spec, array) for spec, array in pairs if spec.path in paths]
        found.append(
            {
                "name": name,
                "state": encode([spec for spec, _ in pairs]).decode(),
                "leaves": [array.tobytes().hex() for _, array in pairs],
                "taken": list(paths),
                "digest": digest_of(tuple(spec for spec, _ in chosen), [array for _, array in chosen]),
            }
        )
    return found


# --- ledger rows, Merkle trees -----------------------------------------------------------------------------------


def rows() -> list[Vector]:
    """Rows with and without what is optional."""
    batch, state = encoding.batch_digest([pattern(32)]), pattern(32, 7)
    many = np.array([5, 0, 2**48 - 1], np.uint64)
    cases = [
        Row(0, pattern(8), np.empty(0, np.uint64), encoding.batch_digest([]), state, None),
        Row(1, pattern(8), many, batch, state, np.float32(0.25).tobytes()),
        Row(2, pattern(8), many, batch, None, np.float32("-inf").tobytes()),
        Row(3, pattern(16), many[:1], batch, state, bytes.fromhex("0100a07f")),  # a signalling NaN
        Row(2**32 - 1, pattern(16), many[:1], batch, None, np.float32(-0.0).tobytes()),
    ]
    return [
        {
            "step": row.step,
            "key": row.key.hex(),
            "indices": row.indices.tolist(),
            "batch_digest": row.batch.hex(),
            "state_digest": row.state and row.state.hex(),
            "loss": row.loss and row.loss.hex(),
            "bytes": row.encode().hex(),
            "digest": row.digest().hex(),
        }
        for row in cases
    ]


def trees() -> Vector:
    """Roots and audit paths for 1 to 9 leaves, and paths that must be refused."""
    leaves = [encoding.row_digest(bytes([at])) for at in range(9)]
    found = []
    for size in range(1, 10):
        paths = [[step.hex() for step in merkle.proof(leaves[:size], index)] for index in range(size)]
        found.append({"size": size, "root": merkle.root(leaves[:size]).hex(), "paths": paths})
    leaf, path = leaves[4], [step.hex() for step in merkle.proof(leaves[:7], 4)]
    wounds = {
        "path too short": (leaf.hex(), 4, 7, path[:-1]),
        "path too long": (leaf.hex(), 4, 7, [*path, path[0]]),
        "empty path": (leaf.hex(), 4, 7, []),
        "path of another place": (leaf.hex(), 6, 7, path),
        "index beyond the size": (leaf.hex(), 7, 7, path),
        "negative index": (leaf.hex(), -1, 7, path),
        "no leaves": (leaf.hex(), 0, 0, []),
        "short sibling": (leaf.hex(), 4, 7, [path[0][:-2], *path[1:]]),
        "long sibling": (leaf.hex(), 4, 7, [path[0] + "00", *path[1:]]),
        "short leaf": (leaf.hex()[:-2], 4, 7, path),
        "long leaf": (leaf.hex() + "00", 4, 7, path),
        "byte moved from leaf to sibling": (leaf.hex()[:-2], 4, 7, [leaf.hex()[-2:] + path[0], *path[1:]]),
    }
    refusals = [
        {"name": name, "leaf": leaf, "index": index, "size": size, "path": path}
        for name, (leaf, index, size, path) in wounds.items()
    ]
    return {"leaves": [leaf.hex() for leaf in leaves], "trees": found, "refusals": refusals}


# --- keys, order, challenge --------------------------------------------------------------------------------------


def keys() -> list[Vector]:
    """Keys of steps, as 32-bit words."""
    found = []
    for commitment in (pattern(32), bytes(32), b"\xff" * 32):
        for prng in ("threefry2x32", "rbg"):
            steps = {
                step: step_keys(commitment, prng, step, step + 1)[0].tolist()
                for step in (0, 1, 2, 255, 256, 257, 10**6, 2**32 - 1)
            }
            root = root_key(commitment, prng).tolist()
            found.append({"commitment": commitment.hex(), "prng": prng, "root": root, "steps": steps})
    return found


def order() -> Vector:
    """Places of permutations, whole epochs of small data sets, and batches across the borders of epochs."""
    key = pattern(32)
    sizes = (1, 2, 3, 4, 5, 16, 17, 1797, 50000, 65537, 10**9 + 7, 2**48 - 1, 2**48)
    places = []
    for size in sizes:
        for epoch in (0, 1, 10**6):
            chosen = sorted({0, min(1, size - 1), size // 2, size - 1})
            round_keys = encoding.order_keys(key, epoch, ROUNDS)
            images = permute(round_keys[:, None], size, np.array(chosen, np.uint64)).tolist()
            places.append({"size": size, "epoch": epoch, "places": chosen, "records": images})
    epochs = [
        {"size": size, "epoch": epoch, "records": batch_indices(key, size, size, epoch + 1, epoch + 2)[0].tolist()}
        for size in (1, 2, 3, 7, 16, 20)
        for epoch in (0, 1)
    ]
    batches = []
    for records, batch_size, start, stop in (
        (1, 3, 1, 3),
        (3, 2, 1, 5),
        (10, 4, 1, 7),
        (10, 25, 1, 3),
        (1797, 64, 28, 30),
    ):
        indices = batch_indices(key, records, batch_size, start, stop).tolist()
        batches.append({"records": records, "batch_size": batch_size, "start": start, "stop": stop, "batches": indices})
    return {"commitment": key.hex(), "places": places, "epochs": epochs, "batches": batches}


def challenge() -> Vector:
    """Sample sizes, and whole draws."""
    table = []
    for segments in (1, 2, 3, 10, 20, 100, 1000, 10**6):
        for confidence, fraction in ((0.5, 0.5), (0.9, 0.1), (0.99, 0.05), (0.95, 0.07), (0.999, 0.001), (0.3, 0.1)):
            table.append(
                {
                    "segments": segments,
                    "confidence": confidence,
                    "fraction": fraction,
                    "false": false_segments(segments, fraction),
                    "drawn": segments_needed(segments, confidence, fraction),
                }
            )
    draws = []
    for segments, nonce, policy in (
        (1, b"", RandomSegments()),
        (30, b"nonce", RandomSegments()),
        (200, b"nonce", RandomSegments()),
        (200, b"nonce2", RandomSegments()),
        (200, b"nonce", RandomSegments(confidence=0.5, fraction=0.05)),
        (10**6, pattern(16), RandomSegments(confidence=0.9, fraction=0.1)),
    ):
        claim = pattern(32, 50)
        draws.append(
            {
                "claim": claim.hex(),
                "nonce": nonce.hex(),
                "policy": encode(policy).decode(),
                "segments": segments,
                "drawn": draw(policy, segments, claim, nonce),
            }
        )
    return {"needed": table, "draws": draws, "ranked": ranked(), "steps": steps_drawn()}


def steps_drawn() -> list[Vector]:
    """Draws of steps, for openings."""
    claim = pattern(32, 50)
    cases = [(1, b"n", RandomSteps()), (24, b"nonce", RandomSteps(0.5, 0.25)), (1000, b"nonce", RandomSteps())]
    return [
        {
            "claim": claim.hex(),
            "nonce": nonce.hex(),
            "policy": encode(policy).decode(),
            "steps": steps,
            "drawn": draw_steps(policy, steps, claim, nonce),
        }
        for steps, nonce, policy in cases
    ]


def ranked() -> list[Vector]:
    """Draws that rank updates: ties, what is no number, epochs of their own, checkpoints that are missing."""
    nan, inf, claim = math.nan, math.inf, pattern(32, 50)
    plain = [0.5, 2.0, nan, 2.0, 3.0, 2.0, inf, nan, 0.25, 0.25, 0.0, 1e-300]
    epochs = [Stretch(range(at, at + 1), at // 5, size) for at, size in enumerate(plain)]
    small = [Stretch(range(at, at + 1), at // 10, 1 + at % 7 / 8) for at in range(40)]
    thinned = [(0, 3, 0, 1.0), (3, 4, 0, 2.0), (4, 8, 0, 2.0), (8, 9, 2, 0.0), (9, 12, 2, nan)]
    stretches = [Stretch(range(start, stop), epoch, size) for start, stop, epoch, size in thinned]
    cases = [
        (epochs, TopSegments(1)),
        (epochs, TopSegments(2)),
        (epochs, TopSegments(3, "linf")),
        (epochs, TopSegments(2**53 - 1, "cosine")),
        (stretches, TopSegments(1)),
        (stretches, TopSegments(2, "l1")),
        (small, TopSegments(1)),
        (small, JointSegments(1, confidence=0.5, fraction=0.1)),
        (small, JointSegments(2, "cosine", confidence=0.9, fraction=0.1)),
        (epochs, JointSegments(1, confidence=0.5, fraction=0.25)),
        (stretches, JointSegments(1, "l1", confidence=0.3, fraction=0.1)),
    ]
    return [
        {
            "claim": claim.hex(),
            "nonce": b"nonce".hex(),
            "policy": encode(policy).decode(),
            "segments": each[-1].segments.stop,
            "stretches": [[x.segments.start, x.segments.stop, x.epoch, _magnitude(x.magnitude)] for x in each],
            "drawn": draw(policy, each[-1].segments.stop, claim, b"nonce", each),
        }
        for each, policy in cases
    ]


def _magnitude(value: float) -> float | str:
    """JSON has no form for what is no number."""
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity"


def magnitudes() -> list[Vector]:
    """Distances between two states by every metric; the last leaf is no floating-point one."""
    spec = (
        _leaf("/a", "float32", (3,)),
        _leaf("/b", "float16", (2,)),
        _leaf("/c", "float64", ()),
        _leaf("/n", "int32", ()),
    )
    inf, nan, tiny = math.inf, math.nan, 2.0**-600
    cases = {
        "no update": ([1, -2, 0.1], [3, 4], 5, 6, [1, -2, 0.1], [3, 4], 5, 6),
        "only the integer": ([1, -2, 0.1], [3, 4], 5, 6, [1, -2, 0.1], [3, 4], 5, 7),
        "some": ([1, -2, 0.1], [3, 4], 5, 6, [1.5, -2, 0.3], [3, -4], 1e-3, 6),
        "a longer vector": ([1, -2, 0.1], [3, 4], 5, 6, [2, -4, 0.2], [6, 8], 10, 6),
        "from zeros": ([0, 0, 0], [0, 0], 0, 6, [1, -2, 0.1], [3, 4], 5, 6),
        "zeros of both signs": ([0, 0, 0], [0, 0], 0, 6, [0, -0.0, 0], [0, 0], -0.0, 6),
        "too small to square": ([0, 0, 0], [0, 0], tiny, 6, [0, 0, 0], [0, 0], -tiny, 6),
        "NaN": ([1, nan, 0.1], [3, 4], 5, 6, [1, nan, 0.1], [3, 4], 5, 6),
        "infinities": ([1, -2, 0.1], [3, inf], 5, 6, [1, -2, 0.1], [3, -inf], 5, 6),
        "the same infinity": ([1, -2, 0.1], [3, inf], 5, 6, [1, -2, 0.1], [3, inf], 5, 6),
        "too large to square": ([1, -2, 0.1], [3, 4], 1e200, 6, [1, -2, 0.1], [3, 4], -1e200, 6),
        "too large": ([1, -2, 0.1], [3, 4], 1.7e308, 6, [1, -2, 0.1], [3, 4], -1.7e308, 6),
    }
    found = []
    for name, values in cases.items():
        leaves = [np.array(value, DTYPES[leaf.dtype]) for value, leaf in zip(values, (*spec, *spec), strict=True)]
        before, after = leaves[: len(spec)], leaves[len(spec) :]
        sizes = {metric: _magnitude(distance(spec, before, after, metric)) for metric in METRICS}
        states = ([leaf.tobytes().hex() for leaf in state] for state in (before, after))
        found.append({"name": name, "dtypes": [leaf.dtype for leaf in spec], "states": list(states), **sizes})
    return found


# --- documents ---------------------------------------------------------------------------------------------------


def valid_documents() -> dict[str, Vector]:
    """One document of each kind, as plain values."""
    commitment: Vector = {
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
    claim: Vector = {
        "commitment": encoding.document_digest("commitment", encode(commitment)).hex(),
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
    entry = {"digest": encoding.file_digest([b"x"]).hex(), "size": 1}
    names = ("commitment.json", "claim.json", "records", "program/init.jax_export", "ledger/0000000000.parquet")
    files = {name: entry for name in (*names, "checkpoints/0000000000/state/d/00ff")}
    return {"commitment": commitment, "claim": claim, "inventory": {"files": files, "format": "pol-jax/1"}}


def started() -> dict[str, Vector]:
    """What a commitment says of an initial state that takes leaves over."""
    given = {"digest": encoding.state_digest(bytes(32), []).hex(), "leaves": ["/params/kernel"]}
    claim = encoding.document_digest("claim", b"{}").hex()
    return {"proof": {"claim": claim, "origin": "proof", **given}, "weights": {"origin": "weights", **given}}


def _with(document: Vector, path: str, value: Any) -> bytes:
    """The document with one field set; ``...`` for a field that is taken away."""
    changed = msgspec.json.decode(msgspec.json.encode(document))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node = changed
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return encode(changed)


def fields_wounded(valid: dict[str, Vector]) -> Iterator[tuple[str, str, str, str, bytes]]:
    """Canonical documents with one field that breaks the schema: name, kind, layer, what the refusal names, bytes."""
    piecemeal = valid["commitment"]["state"][0] | {"shape": [0], "pieces": [2**20]}
    segment = {"batch_size": 2**20, "interval": 2**7 + 1}
    proof, weights = started()["proof"], started()["weights"]
    wounds: list[tuple[str, str, str, Any]] = [
        ("missing field", "commitment", "nonce", ...),
        ("missing inner field", "commitment", "schedule.prng", ...),
        ("extra field", "commitment", "extra", 1),
        ("extra inner field", "commitment", "data.extra", None),
        ("wrong version", "commitment", "format", "pol-jax/2"),
        ("upper-case version", "commitment", "format", "POL-JAX/1"),
        ("string for an integer", "commitment", "data.records", "1442"),
        ("integer for a string", "commitment", "nonce", 0),
        ("bool for an integer", "commitment", "schedule.batch_size", True),
        ("integer for a bool", "commitment", "data.salted", 0),
        ("null for an integer", "commitment", "schedule.interval", None),
        ("list for an object", "commitment", "initial", []),
        ("fraction for an integer", "commitment", "schedule.interval", 1.5),
        ("big float for an integer", "commitment", "data.records", 1e21),
        ("negative", "commitment", "schedule.batch_size", -1),
        ("zero batch", "commitment", "schedule.batch_size", 0),
        ("zero interval", "commitment", "schedule.interval", 0),
        ("batch beyond the bound", "commitment", "schedule.batch_size", 2**20 + 1),
        ("segment beyond the bound", "commitment", "schedule", valid["commitment"]["schedule"] | segment),
        ("no records", "commitment", "data.records", 0),
        ("records beyond the bound", "commitment", "data.records", 2**48 + 1),
        ("unknown order", "commitment", "schedule.order", "sequential"),
        ("unknown prng", "commitment", "schedule.prng", "unsafe_rbg"),
        ("unknown origin", "commitment", "initial.origin", "checkpoint"),
        ("start without an origin", "commitment", "initial", {}),
        ("start from a key and leaves", "commitment", "initial", proof | {"origin": "key"}),
        ("start from a proof without claim", "commitment", "initial", weights | {"origin": "proof"}),
        ("start from a proof with null", "commitment", "initial", proof | {"claim": None}),
        ("start from weights with a claim", "commitment", "initial", proof | {"origin": "weights"}),
        ("start with a short digest", "commitment", "initial", weights | {"digest": weights["digest"][:-2]}),
        ("start that takes nothing", "commitment", "initial", weights | {"leaves": []}),
        ("start that takes no leaf", "commitment", "initial", weights | {"leaves": ["/params"]}),
        ("start that takes a leaf twice", "commitment", "initial", weights | {"leaves": ["/params/kernel"] * 2}),
        ("start that takes a key", "commitment", "initial", weights | {"leaves": ["/params/kernel", "/rngs/key"]}),
        ("start out of order", "commitment", "initial", weights | {"leaves": ["/rngs/key", "/params/kernel"]}),
        ("upper-case hex", "commitment", "program.init", valid["commitment"]["program"]["init"].upper()),
        ("short hex", "commitment", "data.root", valid["commitment"]["data"]["root"][:-2]),
        ("long hex", "commitment", "data.root", valid["commitment"]["data"]["root"] + "00"),
        ("hex with a newline", "commitment", "program.step", valid["commitment"]["program"]["step"] + "\n"),
        ("hex with a prefix", "commitment", "program.step", "0x" + valid["commitment"]["program"]["step"][2:]),
        ("prover without a scheme", "commitment", "prover", "00" * 32),
        ("prover of another scheme", "commitment", "prover", "rsa:" + "00" * 32),
        ("long nonce", "commitment", "nonce", "n" * 257),
        ("long beacon", "commitment", "beacon", "n" * 257),
        ("no loss", "commitment", "program.metrics", ["accuracy"]),
        ("unsorted metrics", "commitment", "program.metrics", ["loss", "accuracy"]),
        ("metric twice", "commitment", "program.metrics", ["loss", "loss"]),
        ("null hyperparameter", "commitment", "task.hyperparameters.rate", None),
        ("list hyperparameter", "commitment", "task.hyperparameters.rate", [1]),
        ("no state", "commitment", "state", []),
        ("no record leaves", "commitment", "data.record", []),
        ("unknown dtype", "commitment", "state.0.dtype", "float128"),
        ("dtype by its letter", "commitment", "data.record.0.dtype", "<f4"),
        ("path without a slash", "commitment", "state.0.path", "params/kernel"),
        ("path with a wild tilde", "commitment", "state.0.path", "/params/~2"),
        ("path with a last tilde", "commitment", "data.record.0.path", "/image~"),
        ("long path", "commitment", "state.0.path", "/" + "p" * 1024),
        ("deep path", "commitment", "state.0.path", "/p" * 65),
        ("two leaves with one path", "commitment", "state.0.path", "/rngs/key"),
        ("two record leaves with one path", "commitment", "data.record.0.path", "/label"),
        ("leaf below a leaf", "commitment", "state.0.path", "/rngs/key/kernel"),
        ("leaf below the root leaf", "commitment", "state.0.path", ""),
        ("negative size", "commitment", "state.0.shape", [-64, 10]),
        ("huge size", "commitment", "state.0.shape", [2**48, 10]),
        ("too many elements", "commitment", "data.record.0.shape", [2**24, 2**24]),
        ("too many axes", "commitment", "data.record.0.shape", [1] * 33),
        ("pieces that don't divide", "commitment", "state.0.pieces", [3, 1]),
        ("pieces of zero", "commitment", "state.0.pieces", [0, 1]),
        ("pieces of other axes", "commitment", "state.0.pieces", [2]),
        ("too many pieces", "commitment", "state.0", piecemeal),
        ("key of another dtype", "commitment", "state.1.dtype", "int32"),
        ("key of another size", "commitment", "state.1.shape", [4]),
        ("key of an unknown prng", "commitment", "state.1.prng", "philox"),
        ("claim of no steps", "claim", "steps", 0),
        ("steps beyond 32 bits", "claim", "steps", 2**32),
        ("short final state", "claim", "final_state", "00"),
        ("environment without jax", "claim", "environment.jax", ...),
        ("unknown environment field", "claim", "environment.colour", "red"),
        ("text for a count", "claim", "environment.device_count", "1"),
        ("object for a list", "claim", "environment.xla_flags", {}),
        ("long text", "claim", "environment.cpu", "x" * 1025),
    ]
    for name, kind, path, value in wounds:
        named = path.split(".")[0] if path[-1].isdigit() else path.removesuffix(".rate").split(".")[-1]
        yield name, kind, "schema", "prng" if name.startswith("key of") else named, _with(valid[kind], path, value)
    entry = valid["inventory"]["files"]["records"]
    for name, file in {
        "climbing path": "../records",
        "absolute path": "/records",
        "foreign file": "setup.py",
        "checkpoint of nine digits": "checkpoints/000000000/state",
        "full-width digits": "ledger/\uff10000000000.parquet",
        "escape sequence": "checkpoints/0000000000/\x1b[2J",
        "itself": "inventory.json",
    }.items():
        files = valid["inventory"]["files"] | {file: entry}
        yield f"inventory: {name}", "inventory", "schema", "files", _with(valid["inventory"], "files", files)
    sizes = {"negative size": -1, "bool for a size": True, "text for a size": "1"}
    for name, size in sizes.items():
        files = {"records": entry | {"size": size}}
        yield f"inventory: {name}", "inventory", "schema", "size", _with(valid["inventory"], "files", files)


def bytes_wounded(valid: dict[str, Vector]) -> Iterator[tuple[str, str, str, str, bytes]]:
    """Documents whose bytes are wounded."""
    content = encode(valid["commitment"])

    def replaced(old: bytes, new: bytes) -> bytes:
        assert content.count(old) == 1, old  # noqa: S101
        return content.replace(old, new)

    wounds = {
        "empty": b"",
        "truncated": content[:-1],
        "truncated in the middle": content[: len(content) // 2],
        "trailing newline": content + b"\n",
        "trailing document": content + content,
        "trailing zero byte": content + b"\0",
        "leading space": b" " + content,
        "byte order mark": b"\xef\xbb\xbf" + content,
        "UTF-16": content.decode().encode("utf-16"),
        "invalid UTF-8": replaced(b'"digits"', b'"digits\xff"'),
        "overlong UTF-8": replaced(b'"digits"', b'"digits\xc0\x80"'),
        "UTF-8 of a surrogate": replaced(b'"digits"', b'"digits\xed\xa0\x80"'),
        "space after a colon": replaced(b'"nonce":', b'"nonce": '),
        "line break": replaced(b',"nonce"', b',\n"nonce"'),
        "comment": replaced(b',"nonce"', b',/**/"nonce"'),
        "unsorted fields": b'{"data":' + content.split(b'"data":', 1)[1][:-1] + b',"beacon":null}',
        "duplicate field": replaced(b'"nonce":"0"', b'"nonce":"0","nonce":"0"'),
        "duplicate field with another value": replaced(b'"nonce":"0"', b'"nonce":"0","nonce":"1"'),
        "duplicate field by an escape": replaced(b'"nonce":"0"', b'"nonce":"0","non\\u0063e":"0"'),
        "escape that isn't needed": replaced(b'"digits"', b'"d\\u0069gits"'),
        "escaped slash": replaced(b'"/image"', b'"\\/image"'),
        "upper-case escape": replaced(b'"digits"', b'"digits\\u001F"'),
        "raw control character": replaced(b'"digits"', b'"digits\x1f"'),
        "half a surrogate pair": replaced(b'"digits"', b'"digits\\ud800"'),
        "half a surrogate pair in a name": replaced(b'"rate"', b'"rate\\ud800"'),
        "NaN": replaced(b"0.005", b"NaN"),
        "Infinity": replaced(b"0.005", b"Infinity"),
        "1e400": replaced(b"0.005", b"1e400"),
        "minus zero": replaced(b'"width":32', b'"width":-0'),
        "minus zero with a point": replaced(b'"width":32', b'"width":-0.0'),
        "integer with a point": replaced(b"1442", b"1442.0"),
        "integer with an exponent": replaced(b"1442", b"1442e0"),
        "integer with a leading zero": replaced(b"1442", b"01442"),
        "integer with a plus": replaced(b"1442", b"+1442"),
        "hexadecimal integer": replaced(b"1442", b"0x5a2"),
        "integer beyond 2^53": replaced(b"1442", b"9007199254740993"),
        "integer of 5000 digits": replaced(b"1442", b"9" * 5000),
        "number with too many digits": replaced(b"0.005", b"0.0050"),
        "number in another form": replaced(b"0.005", b"5e-3"),
        "number beyond double precision": replaced(b"0.005", b"0.00500000000000000000001"),
        "single quotes": replaced(b'"digits"', b"'digits'"),
        "trailing comma": replaced(b'"name":"digits"', b'"name":"digits",'),
        "deep nesting": replaced(b'"nonce":"0"', b'"nonce":' + b"[" * 17 + b"]" * 17),
        "deep nesting behind closing brackets in a string": b'["' + b"]" * 3000 + b'",' + b"[" * 3000 + b"]" * 3001,
        "unclosed": b"[" * 17,
    }
    for name, wounded in wounds.items():
        yield name, "commitment", "json", "", wounded
    for name, wounded in {"list": b"[]", "null": b"null", "string": b'"pol-jax/1"', "object": b"{}"}.items():
        yield f"only a {name}", "commitment", "schema", "", wounded
    yield "claim for a commitment", "commitment", "schema", "", encode(valid["claim"])
    yield "commitment for a claim", "claim", "schema", "", content


def documents() -> Vector:
    """Valid documents with their digests; documents with one wound each, and what a refusal of each must name."""
    valid = valid_documents()
    accepted = []
    for kind, value in valid.items():
        content = encode(value)
        PARSERS[kind](content)
        known = kind != "inventory"  # an inventory has no digest
        digest = encoding.document_digest(kind, content).hex() if known else None
        accepted.append({"kind": kind, "text": content.decode(), "digest": digest})
    for initial in started().values():
        content = _with(valid["commitment"], "initial", initial)
        digest = Commitment.parse(content).digest().hex()
        accepted.append({"kind": "commitment", "text": content.decode(), "digest": digest})
    refused = []
    for name, kind, layer, named, content in (*fields_wounded(valid), *bytes_wounded(valid)):
        _check_refused(name, kind, named, content)
        text = {"text": content.decode()} if _is_text(content) else {"hex": content.hex()}
        refused.append({"name": name, "kind": kind, "layer": layer, "names": named, **text})
    return {"accepted": accepted, "refused": refused}


def _is_text(content: bytes) -> bool:
    try:
        return content.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _check_refused(name: str, kind: str, named: str, content: bytes) -> None:
    try:
        PARSERS[kind](content)
    except ProofError as error:
        if not str(error).startswith(f"{kind}.json: ") or named not in str(error):
            raise SystemExit(f"{name}: the refusal doesn't name {named!r}: {error}") from None
        return
    raise SystemExit(f"{name}: is not refused")


# --- files -------------------------------------------------------------------------------------------------------


def make() -> dict[str, Any]:
    """All vectors, by the name of their file."""
    makers = (digests, states, starts, rows, trees, keys, order, challenge, magnitudes, documents)
    return {maker.__name__: maker() for maker in makers}


def blocks(vectors: dict[str, Any]) -> dict[str, str]:
    """The worked bytes of the document, by the names of their marks."""
    contexts = sorted({f"pol-jax/1 {vector['context']}" for vector in vectors["digests"]})
    small, start, row = vectors["states"][0], vectors["starts"][0], vectors["rows"][1]
    tree, key = vectors["trees"], vectors["keys"][0]
    epoch = vectors["order"]["epochs"][-2]
    batches = next(each for each in vectors["order"]["batches"] if each["records"] == 10)
    drawn, ranked = vectors["challenge"]["draws"][1], vectors["challenge"]["ranked"][-2]
    steps = vectors["challenge"]["steps"][1]
    record, salted = (
        next(each for each in vectors["digests"] if each["context"] == name) for name in ("record", "salted record")
    )
    lines = {
        "contexts": contexts,
        "record": [f"payload {record['payload']}", f"digest  {record['digest']}"],
        "salted": [f"payload {salted['payload']}", f"digest  {salted['digest']}"],
        "commitment": [vectors["documents"]["accepted"][0]["text"]],
        "commitment digest": [vectors["documents"]["accepted"][0]["digest"]],
        "claim": [vectors["documents"]["accepted"][1]["text"]],
        "claim digest": [vectors["documents"]["accepted"][1]["digest"]],
        "inventory": [vectors["documents"]["accepted"][2]["text"]],
        "state": [
            f"spec        {small['spec']}",
            f"spec digest {small['spec_digest']}",
            f"leaf        {small['leaves'][0]}",
            f"digest      {small['digest']}",
        ],
        "initial": [encode(each).decode() for each in started().values()],
        "taken": [
            f"state  {start['state']}",
            f"leaf   {start['leaves'][1]}",
            f"taken  {json.dumps(start['taken'])}",
            f"digest {start['digest']}",
        ],
        "row": [f"bytes  {row['bytes']}", f"digest {row['digest']}"],
        "tree": [
            *(f"leaf {at}  {leaf}" for at, leaf in enumerate(tree["leaves"][:5])),
            f"root    {tree['trees'][4]['root']}",
            *(f"path[{at}] of leaf 2: {step}" for at, step in enumerate(tree["trees"][4]["paths"][2])),
            *(f"path[{at}] of leaf 4: {step}" for at, step in enumerate(tree["trees"][4]["paths"][4])),
        ],
        "keys": [
            f"commitment {key['commitment']}",
            f"root       {key['root']}",
            *(f"step {step:<6}{words}" for step, words in list(key["steps"].items())[:3]),
        ],
        "order": [
            f"commitment {vectors['order']['commitment']}",
            f"N = {epoch['size']}, epoch {epoch['epoch']}: {epoch['records']}",
            *(f"N = 10, batches of 4, step {at + 1}: {found}" for at, found in enumerate(batches["batches"])),
        ],
        "draw": [
            f"claim    {drawn['claim']}",
            f"nonce    {drawn['nonce']}",
            f"policy   {drawn['policy']}",
            f"segments {drawn['segments']}",
            f"drawn    {drawn['drawn']}",
        ],
        "step draw": [
            f"claim    {steps['claim']}",
            f"nonce    {steps['nonce']}",
            f"policy   {steps['policy']}",
            f"steps    {steps['steps']}",
            f"drawn    {steps['drawn']}",
        ],
        "top draw": [
            f"claim     {ranked['claim']}",
            f"nonce     {ranked['nonce']}",
            f"policy    {ranked['policy']}",
            f"segments  {ranked['segments']}",
            f"stretches {json.dumps(ranked['stretches'])}",
            f"drawn     {ranked['drawn']}",
        ],
    }
    return {name: "\n".join(each) for name, each in lines.items()}


def filled(document: str, found: dict[str, str]) -> str:
    """The document with every marked block filled: ``<!-- vectors: name -->`` to ``<!-- end -->``."""
    used = []

    def fill(mark: re.Match[str]) -> str:
        used.append(mark[1])
        return f"<!-- vectors: {mark[1]} -->\n```text\n{found[mark[1]]}\n```\n<!-- end -->"

    text = re.sub(r"<!-- vectors: ([a-z ]+) -->.*?<!-- end -->", fill, document, flags=re.DOTALL)
    if sorted(used) != sorted(found):
        raise SystemExit(f"{DOCUMENT.name}: has the blocks {sorted(used)}, expected {sorted(found)}")
    return text


def contents() -> dict[Path, str]:
    """What every file must hold."""
    vectors = make()
    files = {VECTORS / f"{name}.json": _json(value) for name, value in vectors.items()}
    plain = json.loads(json.dumps(vectors))
    return files | {DOCUMENT: filled(DOCUMENT.read_text(), blocks(plain))}


def _json(value: Any) -> str:
    """One vector a line: short files whose differences can be read."""

    def lines(value: Any, indent: str) -> str:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(f"{indent} {json.dumps(each)}" for each in value) + f"\n{indent}]"
        return json.dumps(value)

    if isinstance(value, dict):
        return "{\n" + ",\n".join(f" {json.dumps(key)}: {lines(each, ' ')}" for key, each in value.items()) + "\n}\n"
    return lines(value, "") + "\n"


def main(arguments: list[str]) -> int:
    """Write, or compare; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    differing = 0
    for path, content in contents().items():
        if path.exists() and path.read_text() == content:
            continue
        differing = 1
        print(f"{path.relative_to(ROOT)}: {'differs' if arguments else 'written'}")
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
    return differing if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
