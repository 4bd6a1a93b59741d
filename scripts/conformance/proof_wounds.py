"""What may be beside a proof, and what no reader takes, by the base and the stage that refuses it (section 13)."""

from __future__ import annotations

from typing import Final, TypeAlias

from conformance.proof_changes import (
    Change,
    claim,
    commitment,
    copied,
    edited,
    flipped,
    folder,
    gone,
    linked,
    listing,
    lost,
    put,
    spelled,
    swapped,
    together,
    unlisted,
    without,
)

Wound: TypeAlias = tuple[str, int, str, Change]
"""A wound has a name that says what is wrong, the stage that refuses it, the file or field, and the change."""

INIT, STEP, SEGMENT = "program/init.jax_export", "program/step.jax_export", "ledger/0000000001.parquet"
FIRST, LAST = "checkpoints/0000000000", "checkpoints/0000000005"

BESIDE: Final[tuple[tuple[str, Change], ...]] = (
    ("a README.md beside the proof", unlisted("README.md")),
    ("a .gitattributes beside the proof", unlisted(".gitattributes")),
    ("signatures beside the proof", unlisted("signatures/anything at all")),
    ("attestations that are a link beside the proof", linked("attestations", "/nowhere")),
    ("a .DS_Store in a checkpoint", unlisted(f"{FIRST}/.DS_Store")),
    ("a Thumbs.db in the ledger", unlisted("ledger/Thumbs.db")),
    ("a checkpoint less than there may be", without("checkpoints/0000000002")),
    ("a checkpoint with a file that its store does not use", put(f"{LAST}/state/d/unused", b"x")),
    ("a checkpoint with other metadata of Orbax", put(f"{LAST}/_CHECKPOINT_METADATA", b"{}")),
    (
        "a run that names two environments",
        lambda draft: draft.claim["environments"].append(draft.claim["environments"][0] | {"from": 3}),
    ),
    ("another environment than any machine has", claim("environments.0.environment.cpu", "none at all")),
)

PLAIN: Final[tuple[Wound, ...]] = (
    # stage 1
    *((f"{name} is missing", 1, name, gone(name)) for name in ("commitment.json", "claim.json", "inventory.json")),
    *(
        (f"a file {name}", 1, name.split("/")[0], unlisted(name))
        for name in (
            "setup.py",
            "journal",
            "run.json",
            "records.txt",
            "readme.md",
            "commitment.json.bak",
            "ledger/1.parquet",
            "ledger/00000000001.parquet",
            "ledger/0000000001.csv",
            "ledger/000000000a.parquet",
            "program/other.jax_export",
            "program/README.md",
            "checkpoints/000000000/a",
            "checkpoints/0000000000x/a",
            "checkpoints/0000000009",
            f"{FIRST}/a b",
            f"{FIRST}/\u00e4",
            f"{FIRST}/...\u2025",
            f"{FIRST}/{'n' * 129}",
            f"{FIRST}/1/2/3/4/5/6/7/8/9",
            "interventions/1/a",
            "interventions/a",
            "signature/a",
        )
    ),
    ("a directory that has no place", 1, "weights", folder("weights")),
    ("a directory of a checkpoint with a sign", 1, "checkpoints", folder("checkpoints/-000000001")),
    ("names that are equal but for case", 1, "state", unlisted(f"{FIRST}/State")),
    ("names in a checkpoint that are equal but for case", 1, "D", unlisted(f"{FIRST}/state/D")),
    ("records that are a link", 1, "records", together(without("records"), linked("records", "claim.json"))),
    ("a ledger that is a link", 1, "ledger", together(without("ledger"), linked("ledger", "program"))),
    ("a link to nowhere in a checkpoint", 1, "a", linked(f"{FIRST}/a", "nowhere")),
    ("a link out of the directory in a checkpoint", 1, "a", linked(f"{FIRST}/a", "/etc")),
    ("a directory in the place of records", 1, "records", together(without("records"), folder("records"))),
    # stage 2
    *((f"{name} is lost", 2, name, lost(name)) for name in ("records", INIT, STEP, SEGMENT, f"{LAST}/state/_METADATA")),
    *((f"a bit of {name} is flipped", 2, name, flipped(name, 77)) for name in ("records", INIT, STEP, SEGMENT)),
    ("a bit of a checkpoint is flipped", 2, "manifest.ocdbt", flipped(f"{FIRST}/state/manifest.ocdbt", 5)),
    ("records are a byte longer than listed", 2, "records", listing(lambda files: files["records"].update(size=191))),
    ("a checkpoint file is not listed", 2, f"{FIRST}/extra", unlisted(f"{FIRST}/extra")),
    ("a segment is not listed", 2, "ledger/0000000009", unlisted("ledger/0000000009.parquet")),
    ("the claim is not listed", 2, "claim.json", listing(lambda files: files.pop("claim.json"))),
    (
        "the inventory lists itself",
        2,
        "files",
        listing(lambda files: files.update({"inventory.json": {"digest": "0" * 64, "size": 1}})),
    ),
    (
        "the inventory lists a file that is not there",
        2,
        f"{FIRST}/gone",
        listing(lambda files: files.update({f"{FIRST}/gone": {"digest": "0" * 64, "size": 1}})),
    ),
    (
        "the inventory lists a README.md",
        2,
        "files",
        listing(lambda files: files.update({"README.md": {"digest": "0" * 64, "size": 1}})),
    ),
    (
        "a digest of the inventory is in capitals",
        2,
        "digest",
        listing(lambda files: files["records"].update(digest=files["records"]["digest"].upper())),
    ),
    ("the inventory ends with a newline", 2, "inventory.json", spelled("inventory.json", lambda each: each + b"\n")),
    ("the inventory has a space", 2, "inventory.json", spelled("inventory.json", lambda each: b"{ " + each[1:])),
    (
        "the inventory is of version 1",
        2,
        "format",
        spelled("inventory.json", lambda each: each.replace(b"pol-jax/2", b"pol-jax/1")),
    ),
    ("the claim ends with a newline", 2, "claim.json", spelled("claim.json", lambda each: each + b"\n")),
    ("the claim is of an unknown version", 2, "format", claim("format", "pol-jax/3")),
    ("the claim has no interventions", 2, "interventions", claim("interventions", ...)),
    ("the claim has no steps", 2, "steps", claim("steps", 0)),
    ("the claim has steps as a text", 2, "steps", claim("steps", "5")),
    (
        "the claim has steps with a point",
        2,
        "claim.json",
        spelled("claim.json", lambda each: each.replace(b'"steps":5', b'"steps":5.0')),
    ),
    ("the claim has an unknown field", 2, "extra", claim("extra", None)),
    ("the claim has a short root", 2, "ledger_root", claim("ledger_root", "00")),
    ("no environment from step 0", 2, "environments", claim("environments.0.from", 1)),
    (
        "an environment from step T",
        2,
        "environments",
        lambda draft: draft.claim["environments"].append(draft.claim["environments"][0] | {"from": 5}),
    ),
    (
        "features of the processor out of order",
        2,
        "cpu_features",
        claim("environments.0.environment.cpu_features", ["fma", "avx"]),
    ),
    # stage 3
    ("a commitment that the claim does not name", 3, "claim", claim("commitment", "0" * 64)),
    ("a commitment with a final newline", 3, "commitment.json", spelled("commitment.json", lambda each: each + b"\n")),
    (
        "a commitment with a byte order mark",
        3,
        "commitment.json",
        spelled("commitment.json", lambda each: b"\xef\xbb\xbf" + each),
    ),
    ("a commitment of version 1", 3, "commitment.json", commitment("format", "pol-jax/1")),
    (
        "a nonce twice",
        3,
        "commitment.json",
        spelled("commitment.json", lambda each: each.replace(b'"nonce":', b'"nonce":"","nonce":', 1)),
    ),
    ("an unknown order", 3, "order", commitment("schedule.order", "feistel")),
    ("a batch of no records", 3, "batch_size", commitment("schedule.batch_size", 0)),
    ("an interval beyond its bound", 3, "interval", commitment("schedule.interval", 2**20 + 1)),
    (
        "a segment of too many records",
        3,
        "schedule",
        together(commitment("schedule.interval", 2**20), commitment("schedule.batch_size", 2**8)),
    ),
    ("pieces that don't divide", 3, "pieces", commitment("state.3.pieces", [3, 1])),
    ("a path without a slash", 3, "path", commitment("state.3.path", "w")),
    ("a leaf below a leaf", 3, "path", commitment("state.3.path", "/count/w")),
    ("metrics out of order", 3, "metrics", commitment("program.metrics", ["norm", "loss"])),
    ("a loss that is no metric", 3, "metrics", commitment("program.loss", "accuracy")),
    ("a prover of small order", 3, "prover", commitment("prover", "ed25519:01" + "00" * 31)),
    ("arithmetic that nobody knows", 3, "arithmetic", commitment("arithmetic", "exact/9")),
    ("fewer steps than committed to", 3, "steps", commitment("schedule.steps", 6)),
    ("more steps than committed to", 3, "steps", commitment("schedule.steps", 4)),
    (
        "more steps than it may have",
        3,
        "steps",
        together(commitment("schedule.steps", 4), commitment("schedule.may_stop_early", True)),
    ),
    ("records of another root", 3, "records", commitment("data.root", "0" * 64)),
    ("records of another number", 3, "records", commitment("data.records", 7)),
    (
        "records without the last byte",
        3,
        "records",
        lambda draft: draft.files.update({"records": draft.files["records"][:-1]}),
    ),
    (
        "records in another order",
        3,
        "records",
        lambda draft: draft.files.update({"records": draft.files["records"][32:] + draft.files["records"][:32]}),
    ),
    ("no records at all", 3, "records", lambda draft: draft.files.update({"records": b""})),
    ("programs exchanged", 3, INIT, swapped(INIT, STEP)),
    ("a program that is not the committed one", 3, STEP, commitment("program.step", "0" * 64)),
    ("a program that is missing", 3, STEP, without(STEP)),
    (
        "an intervention on no leaf of the state",
        3,
        "intervention",
        claim("interventions", [{"after": 1, "digest": "0" * 64, "leaves": ["/v"], "reason": ""}]),
    ),
    # stage 4
    ("a segment that is missing", 4, SEGMENT, without(SEGMENT)),
    ("a segment too many", 4, "ledger/0000000003", copied(SEGMENT, "ledger/0000000003.parquet")),
    ("segments exchanged", 4, "ledger/0000000000", swapped("ledger/0000000000", "ledger/0000000002")),
    ("a segment in the place of another", 4, "ledger/0000000002", copied(SEGMENT, "ledger/0000000002.parquet")),
    ("a segment that is empty", 4, SEGMENT, put(SEGMENT, b"")),
    ("a segment that is cut short", 4, SEGMENT, lambda draft: draft.files.update({SEGMENT: draft.files[SEGMENT][:-9]})),
    (
        "a segment with a byte of a page changed",
        4,
        SEGMENT,
        lambda draft: draft.files.update(
            {SEGMENT: draft.files[SEGMENT][:60] + bytes([draft.files[SEGMENT][60] ^ 1]) + draft.files[SEGMENT][61:]}
        ),
    ),
    ("another root of the ledger", 4, "ledger", claim("ledger_root", "0" * 64)),
    ("another final state", 4, "final_state", claim("final_state", "0" * 64)),
    ("another interval", 4, "ledger", commitment("schedule.interval", 5)),
    ("another interval for digests of states", 4, "state_digest", commitment("schedule.witness_interval", 3)),
    # stage 5
    ("another nonce under the same ledger", 5, "key", commitment("nonce", "another")),
    (
        "records that are others than trained on",
        5,
        "row",
        lambda draft: draft.records(draft.files["records"][32:] + draft.files["records"][:32]),
    ),
    ("another public key under the same ledger", 5, "key", commitment("prover", "ed25519:" + "d7" * 32)),
    (
        "a mesh under the same ledger",
        5,
        "key",
        commitment(
            "mesh", {"axes": [{"name": "x", "size": 1}], "batch": ["x"], "state": [[], [[], []], [[]], [[], []]]}
        ),
    ),
    # stage 6: all of these break the commitment's seed too, so that they are made of files alone
    ("no checkpoint of step 0", 6, FIRST, without(FIRST)),
    ("no checkpoint of step T", 6, LAST, without(LAST)),
    ("checkpoints exchanged", 6, FIRST, swapped(FIRST, LAST)),
    (
        "a checkpoint of a step that the schedule has not",
        6,
        "checkpoints/0000000003",
        copied("checkpoints/0000000002", "checkpoints/0000000003"),
    ),
    (
        "a checkpoint of a step behind the end",
        6,
        "checkpoints/0000000006",
        copied("checkpoints/0000000002", "checkpoints/0000000006"),
    ),
    ("a checkpoint without its manifest", 6, LAST, without(f"{LAST}/state/manifest.ocdbt", f"{LAST}/state/ocdbt")),
    ("a checkpoint without its arrays", 6, LAST, without(f"{LAST}/state/d/", f"{LAST}/state/ocdbt.process_0/d/")),
    ("a checkpoint without its metadata", 6, LAST, without(f"{LAST}/state/_METADATA")),
    ("a checkpoint with another file", 6, LAST, put(f"{LAST}/extra", b"x")),
    ("a checkpoint with a README.md", 6, LAST, put(f"{LAST}/README.md", b"x")),
    ("a checkpoint with a sharding file", 6, LAST, put(f"{LAST}/state/_sharding", b"{}")),
    ("a checkpoint without its marker", 6, LAST, without(f"{LAST}/orbax.checkpoint")),
    ("a checkpoint whose marker is not empty", 6, LAST, put(f"{LAST}/orbax.checkpoint", b"x")),
    ("a checkpoint without the metadata of Orbax", 6, LAST, without(f"{LAST}/_CHECKPOINT_METADATA")),
    ("a checkpoint with a file beside a process's arrays", 6, LAST, put(f"{LAST}/state/ocdbt.process_0/extra", b"x")),
    ("a checkpoint with a directory among its arrays", 6, LAST, put(f"{LAST}/state/d/more/extra", b"x")),
    (
        "a checkpoint whose metadata name other leaves",
        6,
        LAST,
        edited(f"{LAST}/state/_METADATA", b'"key": "count"', b'"key": "other"'),
    ),
    ("a checkpoint with far more bytes than its state", 6, LAST, put(f"{LAST}/state/d/00", bytes(2**23))),
    ("a checkpoint whose manifest is too large", 6, LAST, put(f"{LAST}/state/manifest.ocdbt", bytes(5000))),
    (
        "a checkpoint in another store",
        6,
        LAST,
        edited(f"{LAST}/state/_METADATA", b'"use_ocdbt": true', b'"use_ocdbt": false'),
    ),
    (
        "a checkpoint of another Zarr",
        6,
        LAST,
        edited(f"{LAST}/state/_METADATA", b'"use_zarr3": true', b'"use_zarr3": false'),
    ),
    (
        "an intervention that the claim does not name",
        6,
        "interventions/0000000001",
        put("interventions/0000000001/orbax.checkpoint", b""),
    ),
)

SIGNATURES: Final[tuple[Wound, ...]] = (
    ("a program of other arrays than the state", 3, "init", commitment("state.3.shape", [2, 4])),
    ("a program of another dtype than the state", 3, "init", commitment("state.3.dtype", "float16")),
    ("a program of other records", 3, "step", commitment("data.record.1.shape", [5])),
    ("a program of another batch", 3, "step", commitment("schedule.batch_size", 3)),
    ("a program of another key", 3, "init", commitment("schedule.prng", "rbg")),
    ("a program of fewer metrics", 3, "step", commitment("program.metrics", ["loss"])),
)
"""Whoever reads the artifacts refuses these."""

THINNED: Final[tuple[Wound, ...]] = (
    (
        "the last checkpoint in the place of another",
        6,
        "checkpoints/0000000004",
        copied(LAST, "checkpoints/0000000004"),
    ),
)

CHANGED: Final[tuple[Wound, ...]] = (
    ("an intervention whose leaves are missing", 6, "interventions/0000000001", without("interventions")),
    (
        "an intervention of other leaves than claimed",
        6,
        "interventions/0000000001",
        claim("interventions.0.digest", "0" * 64),
    ),
    ("an intervention that the claim hides", 6, "interventions/0000000001", claim("interventions", [])),
    ("an intervention after the end", 2, "interventions", claim("interventions.0.after", 3)),
    ("an intervention without a reason", 2, "reason", claim("interventions.0.reason", ...)),
    ("an intervention on another leaf", 6, "interventions/0000000001", claim("interventions.0.leaves", ["/count"])),
)

TUNED: Final[tuple[Wound, ...]] = (
    ("a chain that takes no leaf", 3, "initial", commitment("initial.leaves", [])),
    ("a chain that takes an unknown leaf", 3, "initial", commitment("initial.leaves", ["/v"])),
    ("a chain without the earlier claim", 3, "initial", commitment("initial.claim", ...)),
    ("a chain from weights with a claim", 3, "initial", commitment("initial.origin", "weights")),
)
