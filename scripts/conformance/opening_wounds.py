"""What no reader of an opening takes, by the base and the stage that refuses it (docs/protocol.md, section 14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from conformance.opening_drafts import OpeningDraft
from pol_jax.protocol import encoding, merkle
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.trees import DTYPES
from pol_jax.training.states import Layout

Change: TypeAlias = Callable[[OpeningDraft], object]
Wound: TypeAlias = tuple[str, int, str, Change]
"""A wound has a name, the stage (0: nothing is wrong; 8: inconclusive), what is named, and the change."""


def _set(*path: str | int, value: Any) -> Change:
    """Set a part of the opening; a function is given the old value."""

    def apply(draft: OpeningDraft) -> None:
        node: Any = draft.opening
        for each in path[:-1]:
            node = node[each]
        node[path[-1]] = value(node[path[-1]]) if callable(value) else value

    return apply


def _reordered(names: Callable[[list[str]], list[str]]) -> Change:
    def apply(draft: OpeningDraft) -> None:
        old = draft.opening
        draft.opening = {name: old.get(name, []) for name in names(list(old))}

    return apply


def _spelled(old: bytes, new: bytes) -> Change:
    """Replace the first bytes of this kind."""

    def apply(draft: OpeningDraft) -> None:
        def change(content: bytes) -> bytes:
            if old not in content:
                raise ValueError(f"the opening has no {old!r}")
            return content.replace(old, new, 1)

        draft.spell = change

    return apply


def _flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def _committed(*path: str | int, value: Any) -> Change:
    """Change the commitment, and claim it."""

    def apply(draft: OpeningDraft) -> None:
        node: Any = draft.commitment
        for each in path[:-1]:
            node = node[each]
        node[path[-1]] = value
        draft.commit()

    return apply


def _claimed(name: str, value: Any) -> Change:
    def apply(draft: OpeningDraft) -> None:
        draft.claim[name] = value

    return apply


def _row(step: int, **fields: Any) -> Change:
    return lambda draft: draft.row(step, **fields)


def _odd_bool(draft: OpeningDraft) -> None:
    """Open a state with a bool of 2, whose digest the ledger has."""
    state = next(each for each in draft.opening["states"] if each["step"] == 1)
    state["leaves"][2] = [b"\1\2"]
    spec = Commitment.parse(draft.opening["commitment"]).state
    leaves = [
        np.frombuffer(b"".join(parts), DTYPES[leaf.dtype]).reshape(leaf.shape)
        for leaf, parts in zip(spec, state["leaves"], strict=True)
    ]
    draft.row(1, state=Layout(spec).gather(leaves).digest())


def _odd_record(draft: OpeningDraft) -> None:
    """Open a record with a bool of 2, whose digest the commitment has."""
    record = draft.opening["records"][0]
    record["leaves"][0] = b"\2"
    content = (draft.root / "records").read_bytes()
    leaves = [content[at : at + 32] for at in range(0, len(content), 32)]
    leaves[record["index"]] = encoding.digest("record", b"".join(record["leaves"]))
    indices = [each["index"] for each in draft.opening["records"]]
    for each, path in zip(draft.opening["records"], merkle.proofs(leaves, indices), strict=True):
        each["path"] = list(path)
    draft.commitment["data"]["root"] = merkle.root(leaves).hex()
    draft.commit()


def _dropped(*path: str | int) -> Change:
    def apply(draft: OpeningDraft) -> None:
        node: Any = draft.opening
        for each in path[:-1]:
            node = node[each]
        del node[path[-1]]

    return apply


def _decided(*sites: dict[str, Any], step: int = 1) -> Change:
    return _set("decisions", value=[{"step": step, "sites": list(sites)}])


def _site(site: int = 0, indices: Sequence[int] = (0,), values: bytes = bytes(4)) -> dict[str, Any]:
    return {"site": site, "indices": b"".join(each.to_bytes(8, "little") for each in indices), "values": values}


def _all_fields_sorted(names: list[str]) -> list[str]:
    return sorted(names)


PLAIN: Final[tuple[Wound, ...]] = (
    # stage 1: MessagePack
    ("empty", 1, "", lambda draft: setattr(draft, "spell", lambda _: b"")),
    ("cut short", 1, "", lambda draft: setattr(draft, "spell", lambda content: content[:-1])),
    ("a byte behind the end", 1, "", lambda draft: setattr(draft, "spell", lambda content: content + b"\0")),
    ("two values", 1, "", lambda draft: setattr(draft, "spell", lambda content: content * 2)),
    ("a list in place of the map", 1, "", lambda draft: setattr(draft, "spell", lambda _: b"\x90")),
    ("JSON", 1, "", lambda draft: setattr(draft, "spell", lambda _: b'{"format":"pol-jax/2"}')),
    ("fields in another order", 1, "", _reordered(_all_fields_sorted)),
    ("an unknown field", 1, "", _reordered(lambda names: [*names, "extra"])),
    ("a field is missing", 1, "decisions", _reordered(lambda names: names[:-1])),
    (
        "a field twice",
        1,
        "",
        _spelled(b"\x8a\xa6format\xa9pol-jax/2", b"\x8b\xa6format\xa9pol-jax/2\xa6format\xa9pol-jax/2"),
    ),
    ("an unknown version", 1, "", _set("format", value="pol-jax/3")),
    ("version 1 with the fields of version 2", 1, "", _set("format", value="pol-jax/1")),
    ("a name as bytes", 1, "", _spelled(b"\xa6format", b"\xc4\x06format")),
    ("a long name", 1, "", _spelled(b"\xa6format", b"\xd9\x06format")),
    ("a long map", 1, "", _spelled(b"\x8a\xa6format", b"\xde\x00\x0a\xa6format")),
    ("the claim as a string", 1, "claim", _spelled(b"\xa5claim\xc4\x20", b"\xa5claim\xd9\x20")),
    ("the claim with a long length", 1, "", _spelled(b"\xa5claim\xc4\x20", b"\xa5claim\xc5\x00\x20")),
    ("a step in a long form", 1, "", _spelled(b"\xa4step\x01", b"\xa4step\xcc\x01")),
    ("a step as a float", 1, "step", _spelled(b"\xa4step\x01", b"\xa4step\xca\x3f\x80\x00\x00")),
    ("a step that is negative", 1, "step", _spelled(b"\xa4step\x01", b"\xa4step\xff")),
    ("a step that is true", 1, "step", _spelled(b"\xa4step\x01", b"\xa4step\xc3")),
    ("a short claim", 1, "claim", _set("claim", value=bytes(31))),
    ("a claim that is nil", 1, "claim", _set("claim", value=None)),
    ("rows that are nil", 1, "rows", _set("rows", value=None)),
    ("a row with another field", 1, "", _set("rows", 0, value=lambda row: {**row, "extra": 1})),
    ("a row without its path", 1, "path", _dropped("rows", 0, "path")),
    ("a path with a short digest", 1, "path", _set("rows", 0, "path", 0, value=bytes(31))),
    ("a path of 65 digests", 1, "path", _set("rows", 0, "path", value=[bytes(32)] * 65)),
    ("a short salt", 1, "salt", _set("records", 0, "salt", value=bytes(16))),
    ("a record without its salt", 1, "salt", _dropped("records", 0, "salt")),
    ("an index beyond 64 bits", 1, "", _spelled(b"\xa5index\x00", b"\xa5index\xcf\xff\xff\xff\xff\xff\xff\xff")),
    ("leaves of a state without parts", 1, "leaves", _set("states", 0, "leaves", 0, value=bytes(4))),
    ("a leaf in two parts", 1, "", _set("states", 0, "leaves", 0, value=[bytes(2), bytes(2)])),
    ("an empty leaf in one part", 1, "", _set("states", 0, "leaves", 1, value=[b""])),
    ("decisions of step 0", 1, "decisions", _decided(_site(), step=0)),
    ("decisions without sites", 1, "decisions", _decided()),
    ("decisions with sites out of order", 1, "decisions", _decided(_site(1), _site(0))),
    ("decisions with a site twice", 1, "decisions", _decided(_site(), _site())),
    ("decisions with elements out of order", 1, "decisions", _decided(_site(0, (1, 0), bytes(8)))),
    ("decisions with an element twice", 1, "decisions", _decided(_site(0, (1, 1), bytes(8)))),
    ("decisions with an element beyond 2^48", 1, "decisions", _decided(_site(0, (2**48,)))),
    ("decisions with values of 3 bytes", 1, "decisions", _decided(_site(values=bytes(3)))),
    ("decisions with half an index", 1, "decisions", _decided(_site() | {"indices": bytes(12)})),
    (
        "decisions with steps out of order",
        1,
        "decisions",
        _set("decisions", value=[{"step": 2, "sites": [_site()]}, {"step": 1, "sites": [_site()]}]),
    ),
    # stage 2
    ("another claim", 2, "claim", _set("claim", value=bytes(32))),
    ("a claim of an unknown version", 2, "format", _claimed("format", "pol-jax/3")),
    ("a claim of no steps", 2, "steps", _claimed("steps", 0)),
    # stage 3
    (
        "another commitment",
        3,
        "commitment",
        _set("commitment", value=lambda old: old.replace(b'"nonce":"', b'"nonce":"!')),
    ),
    ("no commitment", 3, "commitment", _set("commitment", value=b"{}")),
    ("a commitment with a newline", 3, "commitment", _set("commitment", value=lambda old: old + b"\n")),
    ("another step program", 3, "step", _set("step", value=lambda old: old[:-1] + b"\1")),
    ("another init program", 3, "init", _set("init", value=_flipped)),
    (
        "programs exchanged",
        3,
        "init",
        lambda draft: draft.opening.update(init=draft.opening["step"], step=draft.opening["init"]),
    ),
    ("a commitment to other steps", 3, "steps", _committed("schedule", "steps", value=6)),
    ("a claim of other steps", 3, "steps", _claimed("steps", 4)),
    # stage 4
    ("no row", 4, "rows[0]", _set("rows", 0, "row", value=b"row")),
    ("an empty row", 4, "rows[0]", _set("rows", 0, "row", value=b"")),
    ("a row with a byte more", 4, "rows[0]", _set("rows", 0, "row", value=lambda old: old + b"\0")),
    ("a changed row", 4, "rows[1]", _set("rows", 1, "row", value=lambda old: old[:-1] + b"\x7f")),
    (
        "a row with an odd mark of its state",
        4,
        "rows[0]",
        _set("rows", 0, "row", value=lambda old: old.replace(b"\1" + old[-40:-8], b"\2" + old[-40:-8])),
    ),
    (
        "a row in the place of another",
        4,
        "rows[1]",
        lambda draft: draft.opening["rows"][1].update(row=draft.opening["rows"][2]["row"]),
    ),
    ("a row twice", 4, "rows[1]", _set("rows", value=lambda rows: [rows[0], *rows])),
    ("rows in another order", 4, "rows", _set("rows", value=lambda rows: rows[::-1])),
    ("a longer path", 4, "path", _set("rows", 0, "path", value=lambda path: [*path, bytes(32)])),
    ("a shorter path", 4, "path", _set("rows", 0, "path", value=lambda path: path[:-1])),
    ("no path", 4, "path", _set("rows", 0, "path", value=[])),
    ("a changed path", 4, "rows[0]", _set("rows", 0, "path", 0, value=bytes(32))),
    ("a path the other way round", 4, "rows[0]", _set("rows", 0, "path", value=lambda path: path[::-1])),
    ("another root of the ledger", 4, "rows[0]", _claimed("ledger_root", "0" * 64)),
    ("another final state", 4, "final_state", _claimed("final_state", "0" * 64)),
    ("a row without its state", 4, "state_digest", _row(1, state=None)),
    ("a row without metrics", 4, "metrics", _row(1, metrics=b"")),
    ("a row with one metric", 4, "metrics", _row(1, metrics=bytes(4))),
    ("row 0 with metrics", 4, "metrics", _row(0, metrics=bytes(8))),
    # stage 5
    ("a row with another key", 5, "key", _row(1, key=bytes(8))),
    ("a row with other indices", 5, "indices", lambda draft: draft.row(1, indices=np.array([0, 0], np.uint64))),
    ("a row with another batch digest", 5, "batch_digest", _row(1, batch=bytes(32))),
    ("row 0 with another batch digest", 5, "batch_digest", _row(0, batch=bytes(32))),
    ("another nonce under the same ledger", 5, "key", _committed("nonce", value="another")),
    ("a changed record", 5, "records[0]", _set("records", 0, "leaves", 1, value=_flipped)),
    (
        "a record in the place of another",
        5,
        "records[0]",
        lambda draft: draft.opening["records"][0].update(leaves=draft.opening["records"][1]["leaves"]),
    ),
    ("a record short of bytes", 5, "records[0]", _set("records", 0, "leaves", value=[b"", b""])),
    ("a record with a leaf more", 5, "records[0]", _set("records", 0, "leaves", value=lambda old: [*old, b""])),
    (
        "a record whose bytes are in other leaves",
        5,
        "records[0]",
        _set("records", 0, "leaves", value=lambda old: [b"".join(old), b""]),
    ),
    ("a record beyond the end", 5, "records", _set("records", -1, "index", value=6)),
    ("a record twice", 5, "records[1]", _set("records", value=lambda records: [records[0], *records])),
    ("records in another order", 5, "records", _set("records", value=lambda records: records[::-1])),
    ("a salt in public", 5, "salt", _set("records", 0, "salt", value=bytes(32))),
    ("a record left out", 5, "records", _set("records", value=lambda records: records[1:])),
    ("no records", 5, "records", _set("records", value=[])),
    (
        "a path of a record that is too long",
        5,
        "path",
        _set("records", 0, "path", value=lambda path: [*path, bytes(32)]),
    ),
    ("a path of a record that is too short", 5, "path", _set("records", 0, "path", value=lambda path: path[1:])),
    ("a record with a bool of 2", 5, "", _odd_record),
    ("decisions of a step whose row is not there", 5, "decisions", _decided(_site(), step=2)),
    # stage 6
    ("a changed state", 6, "states[1]", _set("states", 1, "leaves", 3, 0, value=_flipped)),
    (
        "a state in the place of another",
        6,
        "states[1]",
        lambda draft: draft.opening["states"][1].update(leaves=draft.opening["states"][2]["leaves"]),
    ),
    ("a state short of leaves", 6, "states[0]", _set("states", 0, "leaves", value=lambda old: old[1:])),
    ("a state with a leaf more", 6, "states[0]", _set("states", 0, "leaves", value=lambda old: [*old, []])),
    ("a leaf with a byte more", 6, "states[0]", _set("states", 0, "leaves", 3, 0, value=lambda old: old + b"\0")),
    ("a state twice", 6, "states[1]", _set("states", value=lambda states: [states[0], *states])),
    ("states in another order", 6, "states", _set("states", value=lambda states: states[::-1])),
    ("a state of no row", 6, "states", _set("states", value=lambda states: [*states, states[-1] | {"step": 99}])),
    ("a state whose row is left out", 6, "states", _set("rows", value=lambda rows: rows[:-1])),
    ("a state with a bool of 2", 6, "states[1]", _odd_bool),
    (
        "an intervention that the claim does not name",
        6,
        "interventions[0]",
        _set("interventions", value=[{"after": 1, "leaves": [[bytes(4)]]}]),
    ),
    # stage 8
    ("states left out", 8, "", _set("states", value=lambda states: states[:1])),
    (
        "states left out, and records with them",
        8,
        "",
        lambda draft: draft.opening.update(states=draft.opening["states"][:1], records=[]),
    ),
    (
        "row and state of step T left out",
        8,
        "",
        lambda draft: draft.opening.update(rows=draft.opening["rows"][:-1], states=draft.opening["states"][:-1]),
    ),
    ("the state of step T left out", 0, "", _set("states", value=lambda states: states[:-1])),
)

READS_PROGRAMS: Final[tuple[Wound, ...]] = (
    ("decisions of a site that the program does not have", 5, "decisions", _decided(_site())),
)
"""Whoever reads the artifacts refuses these."""

SALTED: Final[tuple[Wound, ...]] = (
    ("a salt is missing", 5, "salt", _set("records", 0, "salt", value=None)),
    ("another salt", 5, "records[0]", _set("records", 0, "salt", value=bytes(32))),
    (
        "the salt of another record",
        5,
        "records[0]",
        lambda draft: draft.opening["records"][0].update(salt=draft.opening["records"][1]["salt"]),
    ),
)

CHANGED: Final[tuple[Wound, ...]] = (
    ("an intervention is left out", 6, "interventions", _set("interventions", value=[])),
    (
        "other leaves of an intervention",
        6,
        "interventions[0]",
        _set("interventions", 0, "leaves", 0, 0, value=_flipped),
    ),
    ("an intervention after another step", 6, "interventions[0]", _set("interventions", 0, "after", value=2)),
    ("an intervention twice", 6, "interventions[1]", _set("interventions", value=lambda each: each * 2)),
)

TUNED: Final[tuple[Wound, ...]] = (
    ("the initial state is left out", 8, "", _set("states", value=lambda states: states[1:])),
)
