"""These wounds are canonical documents in which one field breaks the schema (docs/protocol.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pol_jax.protocol.documents import encode
from vectors.form import Vector
from vectors.valid_documents import COMMITMENT, DOCUMENTS, ENTRY, FROM_PROOF, FROM_WEIGHTS, INVENTORY
from vectors.wounds import Wound

Row = tuple[str, str, Any, str]
"""A row has the fault, the path of the field that is changed, its new value, and the field that the refusal names.

The value ``...`` takes the field away.
"""

_SEGMENT: Final = {"batch_size": 2**20, "interval": 2**7 + 1}
_PIECEMEAL: Final = COMMITMENT["state"][0] | {"shape": [0], "pieces": [2**20]}

IN_COMMITMENT: Final[tuple[Row, ...]] = (
    ("missing field", "nonce", ..., "nonce"),
    ("missing inner field", "schedule.prng", ..., "prng"),
    ("extra field", "extra", 1, "extra"),
    ("extra inner field", "data.extra", None, "extra"),
    ("wrong version", "format", "pol-jax/2", "format"),
    ("upper-case version", "format", "POL-JAX/1", "format"),
    ("string for an integer", "data.records", "1442", "records"),
    ("integer for a string", "nonce", 0, "nonce"),
    ("bool for an integer", "schedule.batch_size", True, "batch_size"),
    ("integer for a bool", "data.salted", 0, "salted"),
    ("null for an integer", "schedule.interval", None, "interval"),
    ("list for an object", "initial", [], "initial"),
    ("fraction for an integer", "schedule.interval", 1.5, "interval"),
    ("big float for an integer", "data.records", 1e21, "records"),
    ("negative", "schedule.batch_size", -1, "batch_size"),
    ("zero batch", "schedule.batch_size", 0, "batch_size"),
    ("zero interval", "schedule.interval", 0, "interval"),
    ("batch beyond the bound", "schedule.batch_size", 2**20 + 1, "batch_size"),
    ("segment beyond the bound", "schedule", COMMITMENT["schedule"] | _SEGMENT, "schedule"),
    ("no records", "data.records", 0, "records"),
    ("records beyond the bound", "data.records", 2**48 + 1, "records"),
    ("unknown order", "schedule.order", "sequential", "order"),
    ("unknown prng", "schedule.prng", "unsafe_rbg", "prng"),
    ("unknown origin", "initial.origin", "checkpoint", "origin"),
    ("start without an origin", "initial", {}, "initial"),
    ("start from a key and leaves", "initial", FROM_PROOF | {"origin": "key"}, "initial"),
    ("start from a proof without claim", "initial", FROM_WEIGHTS | {"origin": "proof"}, "initial"),
    ("start from a proof with null", "initial", FROM_PROOF | {"claim": None}, "initial"),
    ("start from weights with a claim", "initial", FROM_PROOF | {"origin": "weights"}, "initial"),
    ("start with a short digest", "initial", FROM_WEIGHTS | {"digest": FROM_WEIGHTS["digest"][:-2]}, "initial"),
    ("start that takes nothing", "initial", FROM_WEIGHTS | {"leaves": []}, "initial"),
    ("start that takes no leaf", "initial", FROM_WEIGHTS | {"leaves": ["/params"]}, "initial"),
    ("start that takes a leaf twice", "initial", FROM_WEIGHTS | {"leaves": ["/params/kernel"] * 2}, "initial"),
    ("start that takes a key", "initial", FROM_WEIGHTS | {"leaves": ["/params/kernel", "/rngs/key"]}, "initial"),
    ("start out of order", "initial", FROM_WEIGHTS | {"leaves": ["/rngs/key", "/params/kernel"]}, "initial"),
    ("upper-case hex", "program.init", COMMITMENT["program"]["init"].upper(), "init"),
    ("short hex", "data.root", COMMITMENT["data"]["root"][:-2], "root"),
    ("long hex", "data.root", COMMITMENT["data"]["root"] + "00", "root"),
    ("hex with a newline", "program.step", COMMITMENT["program"]["step"] + "\n", "step"),
    ("hex with a prefix", "program.step", "0x" + COMMITMENT["program"]["step"][2:], "step"),
    ("prover without a scheme", "prover", "00" * 32, "prover"),
    ("prover of another scheme", "prover", "rsa:" + "00" * 32, "prover"),
    ("long nonce", "nonce", "n" * 257, "nonce"),
    ("long beacon", "beacon", "n" * 257, "beacon"),
    ("no loss", "program.metrics", ["accuracy"], "metrics"),
    ("unsorted metrics", "program.metrics", ["loss", "accuracy"], "metrics"),
    ("metric twice", "program.metrics", ["loss", "loss"], "metrics"),
    ("null hyperparameter", "task.hyperparameters.rate", None, "hyperparameters"),
    ("list hyperparameter", "task.hyperparameters.rate", [1], "hyperparameters"),
    ("no state", "state", [], "state"),
    ("no record leaves", "data.record", [], "record"),
    ("unknown dtype", "state.0.dtype", "float128", "dtype"),
    ("dtype by its letter", "data.record.0.dtype", "<f4", "dtype"),
    ("path without a slash", "state.0.path", "params/kernel", "path"),
    ("path with a wild tilde", "state.0.path", "/params/~2", "path"),
    ("path with a last tilde", "data.record.0.path", "/image~", "path"),
    ("long path", "state.0.path", "/" + "p" * 1024, "path"),
    ("deep path", "state.0.path", "/p" * 65, "path"),
    ("two leaves with one path", "state.0.path", "/rngs/key", "path"),
    ("two record leaves with one path", "data.record.0.path", "/label", "path"),
    ("leaf below a leaf", "state.0.path", "/rngs/key/kernel", "path"),
    ("leaf below the root leaf", "state.0.path", "", "path"),
    ("negative size", "state.0.shape", [-64, 10], "shape"),
    ("huge size", "state.0.shape", [2**48, 10], "shape"),
    ("too many elements", "data.record.0.shape", [2**24, 2**24], "shape"),
    ("too many axes", "data.record.0.shape", [1] * 33, "shape"),
    ("pieces that don't divide", "state.0.pieces", [3, 1], "pieces"),
    ("pieces of zero", "state.0.pieces", [0, 1], "pieces"),
    ("pieces of other axes", "state.0.pieces", [2], "pieces"),
    ("too many pieces", "state.0", _PIECEMEAL, "state"),
    ("key of another dtype", "state.1.dtype", "int32", "prng"),
    ("key of another size", "state.1.shape", [4], "prng"),
    ("key of an unknown prng", "state.1.prng", "philox", "prng"),
)

IN_CLAIM: Final[tuple[Row, ...]] = (
    ("claim of no steps", "steps", 0, "steps"),
    ("steps beyond 32 bits", "steps", 2**32, "steps"),
    ("short final state", "final_state", "00", "final_state"),
    ("environment without jax", "environment.jax", ..., "jax"),
    ("unknown environment field", "environment.colour", "red", "colour"),
    ("text for a count", "environment.device_count", "1", "device_count"),
    ("object for a list", "environment.xla_flags", {}, "xla_flags"),
    ("long text", "environment.cpu", "x" * 1025, "cpu"),
)


def _files_with(name: str) -> Vector:
    """List one more file."""
    return {**INVENTORY["files"], name: ENTRY}


def _records_of(size: Any) -> Vector:
    """List only the records, with another size."""
    return {"records": ENTRY | {"size": size}}


IN_INVENTORY: Final[tuple[Row, ...]] = (
    ("inventory: climbing path", "files", _files_with("../records"), "files"),
    ("inventory: absolute path", "files", _files_with("/records"), "files"),
    ("inventory: foreign file", "files", _files_with("setup.py"), "files"),
    ("inventory: checkpoint of nine digits", "files", _files_with("checkpoints/000000000/state"), "files"),
    ("inventory: full-width digits", "files", _files_with("ledger/\uff10000000000.parquet"), "files"),
    ("inventory: escape sequence", "files", _files_with("checkpoints/0000000000/\x1b[2J"), "files"),
    ("inventory: itself", "files", _files_with("inventory.json"), "files"),
    ("inventory: negative size", "files", _records_of(-1), "size"),
    ("inventory: bool for a size", "files", _records_of(True), "size"),
    ("inventory: text for a size", "files", _records_of("1"), "size"),
)


def wounds() -> Iterator[Wound]:
    """Yield the wounded documents."""
    for kind, rows in (("commitment", IN_COMMITMENT), ("claim", IN_CLAIM), ("inventory", IN_INVENTORY)):
        for name, path, value, field in rows:
            yield Wound(name, kind, "schema", field, encode(changed(DOCUMENTS[kind], path, value)))


def changed(document: Vector, path: str, value: Any) -> Vector:
    """Return the document with one field set, or without it where the value is ``...``."""
    copy: Vector = msgspec.json.decode(msgspec.json.encode(document))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = copy
    for parent in parents:
        node = node[parent]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return copy
