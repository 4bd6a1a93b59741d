"""These wounds are canonical documents in which one field breaks the schema (docs/protocol.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pol_jax.protocol.documents import encode
from vectors.form import Vector
from vectors.valid_documents import (
    COMMITMENT,
    COMMITMENT_1,
    DOCUMENTS,
    DOCUMENTS_1,
    ENTRY,
    ENVIRONMENT,
    ENVIRONMENT_1,
    FROM_PROOF,
    FROM_WEIGHTS,
    INTERVENTION,
    INVENTORY,
    MESH,
)
from vectors.wounds import Wound

Row = tuple[str, str, Any, str]
"""A row has the fault, the path of the field that is changed, its new value, and the field that the refusal names.

The value ``...`` takes the field away.
"""

SEGMENT: Final = {"batch_size": 2**20, "interval": 2**7 + 1}
_PIECEMEAL: Final = COMMITMENT["state"][0] | {"shape": [0], "pieces": [2**24]}

IN_COMMITMENT: Final[tuple[Row, ...]] = (
    ("missing field", "nonce", ..., "nonce"),
    ("missing inner field", "schedule.prng", ..., "prng"),
    ("extra field", "extra", 1, "extra"),
    ("extra inner field", "data.extra", None, "extra"),
    ("wrong version", "format", "pol-jax/3", "format"),
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
    ("no records", "data.records", 0, "records"),
    ("records beyond the bound", "data.records", 2**48 + 1, "records"),
    ("unknown order", "schedule.order", "sequential", "order"),
    ("unknown prng", "schedule.prng", "philox", "prng"),
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

IN_COMMITMENT_2: Final[tuple[Row, ...]] = (
    ("segment beyond the bound", "schedule", COMMITMENT["schedule"] | SEGMENT, "schedule"),
    ("missing steps", "schedule.steps", ..., "steps"),
    ("null for steps", "schedule.steps", None, "steps"),
    ("zero steps", "schedule.steps", 0, "steps"),
    ("steps beyond 32 bits", "schedule.steps", 2**32, "steps"),
    ("missing early stop", "schedule.may_stop_early", ..., "may_stop_early"),
    ("null for early stop", "schedule.may_stop_early", None, "may_stop_early"),
    ("missing arithmetic", "arithmetic", ..., "arithmetic"),
    ("unknown arithmetic", "arithmetic", "exact/2", "arithmetic"),
    ("missing loss name", "program.loss", ..., "loss"),
    ("loss that is no metric", "program.loss", "nll", "metrics"),
    ("prover that is no point", "prover", "ed25519:" + "02" + "00" * 31, "prover"),
    ("prover of small order", "prover", "ed25519:" + "01" + "00" * 31, "prover"),
    ("prover that is not canonical", "prover", "ed25519:" + "ff" * 31 + "7f", "prover"),
    ("missing mesh", "mesh", ..., "mesh"),
    ("mesh without axes", "mesh", MESH | {"axes": []}, "mesh"),
    ("mesh with an axis twice", "mesh", MESH | {"axes": [MESH["axes"][0]] * 2}, "mesh"),
    ("mesh of no devices", "mesh", MESH | {"axes": [MESH["axes"][0] | {"size": 0}, MESH["axes"][1]]}, "mesh"),
    ("mesh of too many devices", "mesh", MESH | {"axes": [*MESH["axes"], {"name": "x", "size": 2**20}]}, "mesh"),
    ("mesh of other leaves", "mesh", MESH | {"state": MESH["state"][:1]}, "mesh"),
    ("mesh of other ranks", "mesh", MESH | {"state": [[["model"]], [[]]]}, "mesh"),
    ("mesh with an unknown cut", "mesh", MESH | {"state": [[["pipe"], []], [[]]]}, "mesh"),
    ("mesh that cuts a leaf twice", "mesh", MESH | {"state": [[["model"], ["model"]], [[]]]}, "mesh"),
    ("mesh that cuts pieces", "mesh", MESH | {"state": [[["data"], []], [[]]]}, "mesh"),
    ("mesh with an unknown batch cut", "mesh", MESH | {"batch": ["pipe"]}, "mesh"),
)

IN_COMMITMENT_1: Final[tuple[Row, ...]] = (
    ("segment beyond the bound", "schedule", COMMITMENT_1["schedule"] | SEGMENT, "schedule"),
    ("steps, which only version 2 has", "schedule.steps", 300, "steps"),
    ("arithmetic, which only version 2 has", "arithmetic", None, "arithmetic"),
    ("mesh, which only version 2 has", "mesh", None, "mesh"),
    ("loss name, which only version 2 has", "program.loss", "loss", "loss"),
    ("prng that only version 2 has", "schedule.prng", "unsafe_rbg", "prng"),
    ("too many pieces for version 1", "state.0", _PIECEMEAL | {"pieces": [2**20]}, "state"),
)

IN_CLAIM: Final[tuple[Row, ...]] = (
    ("claim of no steps", "steps", 0, "steps"),
    ("claim of steps beyond 32 bits", "steps", 2**32, "steps"),
    ("short final state", "final_state", "00", "final_state"),
)

IN_ENVIRONMENT: Final[tuple[Row, ...]] = (
    ("environment without jax", "jax", ..., "jax"),
    ("unknown environment field", "colour", "red", "colour"),
    ("text for a count", "device_count", "1", "device_count"),
    ("object for a list", "xla_flags", {}, "xla_flags"),
    ("long text", "cpu", "x" * 1025, "cpu"),
)

_LATER: Final = {"environment": ENVIRONMENT, "from": 1}

IN_CLAIM_2: Final[tuple[Row, ...]] = (
    ("no environments", "environments", [], "environments"),
    ("no first environment", "environments", [_LATER], "environments"),
    ("two environments of a step", "environments", [_LATER | {"from": 0}] * 2, "environments"),
    ("environment after the end", "environments", [_LATER | {"from": 0}, _LATER | {"from": 300}], "environments"),
    ("null for variables", "environments.0.environment.variables", None, "variables"),
    ("unsorted libraries", "environments.0.environment.libraries", ["b 1", "a 1"], "libraries"),
    ("unsorted features", "environments.0.environment.cpu_features", ["fma", "avx2"], "cpu_features"),
    ("shardings of version 1", "environments.0.environment.shardings", ["/w: data"], "shardings"),
    ("environment of version 1", "environment", ENVIRONMENT_1, "environment"),
    ("missing interventions", "interventions", ..., "interventions"),
    ("intervention after the end", "interventions", [INTERVENTION | {"after": 300}], "interventions"),
    ("two interventions after a step", "interventions", [INTERVENTION] * 2, "interventions"),
    ("intervention on nothing", "interventions", [INTERVENTION | {"leaves": []}], "interventions"),
    ("intervention with a long reason", "interventions", [INTERVENTION | {"reason": "r" * 257}], "reason"),
)

IN_CLAIM_1: Final[tuple[Row, ...]] = (
    ("environments, which only version 2 has", "environments", [_LATER | {"from": 0}], "environments"),
    ("interventions, which only version 2 has", "interventions", [], "interventions"),
    ("variables, which only version 2 has", "environment.variables", [], "variables"),
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
    ("inventory: a dot for a name", "files", _files_with("checkpoints/0000000000/./a"), "files"),
    ("inventory: two dots for a name", "files", _files_with("checkpoints/0000000000/.."), "files"),
    ("inventory: names equal but for case", "files", _files_with("checkpoints/0000000000/state/D/00ff"), "files"),
    ("inventory: what lies beside a proof", "files", _files_with("README.md"), "files"),
    ("inventory: what file managers add", "files", _files_with("checkpoints/0000000000/.DS_Store"), "files"),
    ("inventory: itself", "files", _files_with("inventory.json"), "files"),
    ("inventory: negative size", "files", _records_of(-1), "size"),
    ("inventory: bool for a size", "files", _records_of(True), "size"),
    ("inventory: text for a size", "files", _records_of("1"), "size"),
)


def wounds() -> Iterator[Wound]:
    """Yield the wounded documents, those of today's version first."""
    environment = [(name, f"environments.0.environment.{path}", *rest) for name, path, *rest in IN_ENVIRONMENT]
    tables_2 = {
        "commitment": (*IN_COMMITMENT, *IN_COMMITMENT_2),
        "claim": (*IN_CLAIM, *environment, *IN_CLAIM_2),
        "inventory": IN_INVENTORY,
    }
    environment = [(name, f"environment.{path}", *rest) for name, path, *rest in IN_ENVIRONMENT]
    tables_1 = {
        "commitment": (*IN_COMMITMENT, *IN_COMMITMENT_1),
        "claim": (*IN_CLAIM, *environment, *IN_CLAIM_1),
        "inventory": IN_INVENTORY,
    }
    for label, tables, documents in (("", tables_2, DOCUMENTS), ("version 1: ", tables_1, DOCUMENTS_1)):
        for kind, rows in tables.items():
            for name, path, value, field in rows:
                yield Wound(label + name, kind, "schema", field, encode(changed(documents[kind], path, value)))


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
