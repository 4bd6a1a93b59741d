"""A second verifier of stages 1 to 8, written from docs/protocol.md alone: it reads no artifact, and replays nothing.

Imports nothing of pol_jax, jax or orbax. Parquet and Zarr are read by their own libraries.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import second_documents as documents
import second_implementation as second
import tensorstore as ts
from second_documents import need
from second_implementation import Refused, digest, version_of
from second_parquet import check_pages

FOLDER = re.compile(
    r"program|ledger|(?:checkpoints|interventions)(?:/[0-9]{10}(?:/[A-Za-z0-9_.%-]{1,128}){0,7})?", re.ASCII
)
LIMITS = {"commitment.json": 2**24, "claim.json": 2**24, "inventory.json": 2**24, "records": 2**32}
CHECKPOINT_FILES = re.compile(
    r"_CHECKPOINT_METADATA|orbax\.checkpoint|state/(?:_METADATA|(?:ocdbt\.process_[0-9]+/)?(?:manifest\.ocdbt|d/[^/]+))"
)
COMMON = [
    pa.field("step", pa.uint64(), False),
    pa.field("key", pa.binary(), False),
    pa.field("indices", pa.list_(pa.field("element", pa.uint64(), False)), False),
    pa.field("batch_digest", pa.binary(32), False),
    pa.field("state_digest", pa.binary(32)),
]
METRICS = [pa.field("metrics", pa.list_(pa.field("element", pa.float32(), False)), False)]
LOSS = [pa.field("loss", pa.float32())]


class Ended(Exception):
    """How a verification ends, and at which stage."""


@contextmanager
def stage(number: int) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Ended("refused", number, str(refused)) from refused


# --- proofs ------------------------------------------------------------------------------------------------------


def verify_proof(root: Path, earlier: list[Path]) -> None:
    """Go through stages 1 to 7 of section 13; ends with `Ended`, unless all is passed."""
    with stage(1):
        sizes = scan(root)
        for name in ("commitment.json", "claim.json", "inventory.json"):
            need(name in sizes, name)
    with stage(2):
        claim = check_files(root, sizes)
    with stage(3):
        commitment = documents.commitment((root / "commitment.json").read_bytes())
        seed = check_commitment((root / "commitment.json").read_bytes(), commitment, claim)
        records = check_records(root, commitment)
        for name in ("init", "step"):
            file = root / f"program/{name}.jax_export"
            need(file.exists(), file.name)
            need(digest(f"{name} program", file.read_bytes()).hex() == commitment["program"][name], file.name)
    with stage(4):
        rows = check_ledger(root, commitment, claim)
    with stage(5):
        for row in rows:
            check_inputs(row, commitment, seed, records)
    with stage(6):
        initial = check_states(root, commitment, claim, rows)
    begun = commitment["initial"]
    with stage(7):
        if begun["origin"] != "key":
            found = second.taken_digest(commitment["state"], initial, begun["leaves"])
            need(found.hex() == begun["digest"], "initial")
    if begun["origin"] == "proof":
        contents = [(each / "claim.json").read_bytes() for each in earlier]
        given = {digest("claim", each, version=version_of(documents.claim(each))).hex() for each in contents}
        if begun["claim"] not in given:
            raise Ended("inconclusive", 7, "the earlier proof is not given")


def scan(root: Path) -> dict[str, int]:
    found, names = dict[str, int](), list[str]()

    def walk(folder: str) -> None:
        for entry in os.scandir(root / folder):
            name = f"{folder}/{entry.name}".lstrip("/")
            if documents.beside(name) and not ("/" in name and name.split("/")[-1] in documents.BESIDE):
                continue
            names.append(name)
            kind = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(kind.st_mode):
                need(FOLDER.fullmatch(name), name)
                walk(name)
            else:
                need(stat.S_ISREG(kind.st_mode) and documents.FILE.fullmatch(name), name)
                need(kind.st_size <= LIMITS.get(name, 2**46), name)
                found[name] = kind.st_size

    walk("")
    documents.twins(names)
    return found


def check_files(root: Path, sizes: dict[str, int]) -> dict[str, Any]:
    inventory = documents.inventory((root / "inventory.json").read_bytes())
    for name in sorted(inventory["files"].keys() ^ (sizes.keys() - {"inventory.json"})):
        raise Refused(name)
    for name, entry in inventory["files"].items():
        content = (root / name).read_bytes()
        need(len(content) == entry["size"] and digest("file", content).hex() == entry["digest"], name)
    claim = documents.claim((root / "claim.json").read_bytes())
    need(claim["format"] == inventory["format"], "format")
    return claim


def check_commitment(content: bytes, commitment: dict[str, Any], claim: dict[str, Any]) -> bytes:
    seed = digest("commitment", content, version=version_of(commitment))
    need(seed.hex() == claim["commitment"], "another commitment")
    need(commitment["format"] == claim["format"], "format")
    schedule = commitment["schedule"]
    if "steps" in schedule:
        exact = claim["steps"] == schedule["steps"]
        need(exact or (schedule["may_stop_early"] and claim["steps"] < schedule["steps"]), "steps")
    for each in claim.get("interventions", []):
        documents.taken(each["leaves"], commitment["state"])
    return seed


def check_records(root: Path, commitment: dict[str, Any]) -> list[bytes]:
    content = (root / "records").read_bytes() if (root / "records").exists() else b""
    need(len(content) == 32 * commitment["data"]["records"], "records")
    leaves = [content[at : at + 32] for at in range(0, len(content), 32)]
    need(second.merkle_root(leaves).hex() == commitment["data"]["root"], "records")
    return leaves


def has_state(step: int, schedule: dict[str, Any], steps: int) -> bool:
    return step == steps or not (step % schedule["witness_interval"] and step % schedule["interval"])


def check_ledger(root: Path, commitment: dict[str, Any], claim: dict[str, Any]) -> list[dict[str, Any]]:
    interval, steps = commitment["schedule"]["interval"], claim["steps"]
    segments = -(-steps // interval)
    stored = {path.name for path in (root / "ledger").glob("*") if path.name not in documents.ANYWHERE}
    need(stored == {f"{at:010d}.parquet" for at in range(segments)}, "ledger")
    rows = list[dict[str, Any]]()
    for at in range(segments):
        expected = range(at * interval + (at > 0), min((at + 1) * interval, steps) + 1)
        rows += read_segment((root / f"ledger/{at:010d}.parquet").read_bytes(), expected, commitment)
    for row in rows:
        check_form(row, commitment, steps)
    version = version_of(claim)
    leaves = [digest("ledger row", row_bytes(row, version), version=version) for row in rows]
    need(second.merkle_root(leaves).hex() == claim["ledger_root"], "ledger")
    need(rows[-1]["state"].hex() == claim["final_state"], "final_state")
    return rows


def row_bytes(row: dict[str, Any], version: int) -> bytes:
    values = (row["step"], row["key"], row["indices"], row["batch"], row["state"], row["metrics"])
    return second.row_bytes(*values, version=version)


def check_form(row: dict[str, Any], commitment: dict[str, Any], steps: int) -> None:
    """Refuse a row that lacks a state digest or metrics, or has some that it must not have."""
    version, step = version_of(commitment), row["step"]
    need((row["state"] is not None) == has_state(step, commitment["schedule"], steps), "state_digest")
    count = (1 if version == 1 else len(commitment["program"]["metrics"])) if step else 0
    need(len(row["metrics"]) == 4 * count, "metrics")


def read_segment(content: bytes, expected: range, commitment: dict[str, Any]) -> list[dict[str, Any]]:
    first = version_of(commitment) == 1
    try:
        file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        need(file.schema_arrow.equals(pa.schema(COMMON + (LOSS if first else METRICS))), "schema")
        lists = {file.schema.column(at).path for at in range(len(file.schema))} & {"indices.list.element"}
        need(lists == {"indices.list.element"} and file.metadata.num_rows == len(expected), "rows")
        groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
        chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
        most = min(2**31, (len(expected) + 1) * 2**23)
        need(sum(each.total_uncompressed_size for each in chunks) <= most, "size")
        for each in chunks:
            need(not each.has_dictionary_page and {"PLAIN", "RLE"}.issuperset(each.encodings), "encoding")
            need(each.compression in ("ZSTD", "UNCOMPRESSED"), "compression")
        check_pages(content)
        table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise Refused("damaged") from error
    names = table.schema.names
    found = [
        dict(zip(names, row, strict=True)) for row in zip(*(table[name].to_pylist() for name in names), strict=True)
    ]
    need([each["step"] for each in found] == list(expected), "steps")
    last = table[names[-1]].combine_chunks()
    values = (last.fill_null(0) if first else last.values).to_numpy(zero_copy_only=False).astype("<f4")
    rows, at = list[dict[str, Any]](), 0
    for each in found:
        count = (each["loss"] is not None) if first else len(each["metrics"])
        start = len(rows) if first else at
        metrics, at = values[start : start + count].tobytes(), at + count
        row = {"step": each["step"], "key": each["key"], "indices": each["indices"], "metrics": metrics}
        rows.append(row | {"batch": each["batch_digest"], "state": each["state_digest"]})
    return rows


def check_inputs(row: dict[str, Any], commitment: dict[str, Any], seed: bytes, records: Any) -> None:
    """Refuse another key, batch, or batch digest; of records that are not there, the last is not looked at."""
    schedule, step = commitment["schedule"], row["step"]
    words = second.step_key(seed, schedule["prng"], step)
    need(row["key"] == b"".join(word.to_bytes(4, "little") for word in words), "key")
    drawn = second.batch(seed, commitment["data"]["records"], schedule["batch_size"], step) if step else []
    need(row["indices"] == drawn, "indices")
    if isinstance(records, list) or set(drawn) <= records.keys():
        need(row["batch"] == digest("batch", b"".join(records[at] for at in drawn)), "batch_digest")


def check_states(
    root: Path, commitment: dict[str, Any], claim: dict[str, Any], rows: list[dict[str, Any]]
) -> list[bytes]:
    """Compare every checkpoint with its row; return the initial state."""
    steps, interval, spec = claim["steps"], commitment["schedule"]["interval"], commitment["state"]
    stored = sorted(int(path.name) for path in (root / "checkpoints").glob("*") if path.name.isdigit())
    need({0, steps} <= set(stored), "checkpoints")
    states = dict[int, list[bytes]]()
    for step in stored:
        need(step <= steps and (step == steps or step % interval == 0), f"checkpoints/{step:010d}")
        states[step] = read_checkpoint(root / f"checkpoints/{step:010d}", spec)
        need(second.state_digest(spec, states[step]) == rows[step]["state"], f"checkpoints/{step:010d}")
    named = {each["after"]: each for each in claim.get("interventions", [])}
    found = {int(path.name) for path in (root / "interventions").glob("*") if path.name.isdigit()}
    need(found == named.keys(), "interventions")
    for after, each in named.items():
        part = [leaf for leaf in spec if leaf["path"] in each["leaves"]]
        leaves = read_checkpoint(root / f"interventions/{after:010d}", part)
        need(second.state_digest(part, leaves).hex() == each["digest"], "interventions")
    return states[0]


def read_checkpoint(folder: Path, spec: list[dict[str, Any]]) -> list[bytes]:
    """Return the array bytes of every leaf, by appendix B."""
    sizes = [math.prod(leaf["shape"]) * second.ITEM_BYTES[leaf["dtype"]] for leaf in spec]
    files = [each for each in folder.rglob("*") if each.is_file() and each.name not in documents.ANYWHERE]
    names = {each.relative_to(folder).as_posix() for each in files}
    need(names >= {"_CHECKPOINT_METADATA", "orbax.checkpoint"} and all(map(CHECKPOINT_FILES.fullmatch, names)), "files")
    need((folder / "orbax.checkpoint").stat().st_size == 0, "marker")
    need(sum(each.stat().st_size for each in files) <= 4 * sum(sizes) + 2**22 + 2**14 * len(spec), "size")
    need(all(each.stat().st_size <= 2**12 for each in files if each.name == "manifest.ocdbt"), "manifest")
    try:
        notes = json.loads((folder / "state/_METADATA").read_bytes())
        need(notes["use_ocdbt"] is True and notes["use_zarr3"] is True, "store")
        store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/state/"}}
        kept = ts.KvStore.open(store).result()
        places = ["state" if not leaf["path"] else ".".join(map(escaped, leaf["path"][1:].split("/"))) for leaf in spec]
        full = {name: leaf for name, leaf, size in zip(places, spec, sizes, strict=True) if size}
        held = {
            ".".join(part["key"] for part in each["key_metadata"]) for each in (notes["tree_metadata"] or {}).values()
        }
        need(held == full.keys(), "leaves")
        arrays = {name: read_array(store, name, json.loads(kept[f"{name}/zarr.json"]), full[name]) for name in full}
    except (ValueError, KeyError, OSError) as error:
        raise error if isinstance(error, Refused) else Refused("damaged") from error
    return [arrays.get(name, b"") for name in places]


def escaped(part: str) -> str:
    plain = part.replace("~1", "/").replace("~0", "~")
    return urllib.parse.quote(plain, safe="").replace(".", "%2E").replace("~", "%7E") or "%"


def read_array(store: dict[str, Any], name: str, notes: dict[str, Any], leaf: dict[str, Any]) -> bytes:
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    packed = little if second.ITEM_BYTES[leaf["dtype"]] > 1 else {"name": "bytes"}
    inner = {"chunk_shape": leaf["shape"], "codecs": [packed], "index_codecs": [little, {"name": "crc32c"}]}
    need(notes["data_type"] == leaf["dtype"] and notes["shape"] == leaf["shape"], name)
    need(notes["chunk_grid"] == {"name": "regular", "configuration": {"chunk_shape": leaf["shape"]}}, name)
    need(notes["codecs"] == [{"name": "sharding_indexed", "configuration": inner}], name)
    need(notes["chunk_key_encoding"] == {"name": "default"} and len(notes) - ("fill_value" in notes) == 7, name)
    need((notes["zarr_format"], notes["node_type"]) == (3, "array"), name)
    spec = {"driver": "zarr3", "kvstore": {**store, "path": f"{name}/"}}
    content: bytes = np.asarray(ts.open(spec, read=True).result().read().result()).tobytes()
    need(leaf["dtype"] != "bool" or not set(content) - {0, 1}, name)
    return content


# --- openings ----------------------------------------------------------------------------------------------------

BYTES, STRINGS = {0xC4: 1, 0xC5: 2, 0xC6: 4}, {0xD9: 1, 0xDA: 2, 0xDB: 4}
LISTS, MAPS, NUMBERS = {0xDC: 2, 0xDD: 4}, {0xDE: 2, 0xDF: 4}, {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def unpack(content: bytes) -> Any:
    """The value of MessagePack, of the kinds that an opening has, if it is written in the shortest form."""
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        need(at + count <= len(content), "cut short")
        at += count
        return content[at - count : at]

    def value(depth: int = 0) -> Any:
        need(depth < 10, "nested too deep")
        (code,) = take(1)

        def size(widths: dict[int, int]) -> int:
            return int.from_bytes(take(widths[code]), "big")

        if code == 0xC0:
            return None
        if code < 0x80 or code in NUMBERS:
            return code if code < 0x80 else size(NUMBERS)
        if code in BYTES:
            return take(size(BYTES))
        if 0xA0 <= code < 0xC0 or code in STRINGS:
            return take(code - 0xA0 if code < 0xC0 else size(STRINGS)).decode()
        if 0x90 <= code < 0xA0 or code in LISTS:
            return [value(depth + 1) for _ in range(code - 0x90 if code < 0xA0 else size(LISTS))]
        need(code < 0x90 or code in MAPS, "another kind of value")
        pairs = [(value(depth + 1), value(depth + 1)) for _ in range(code - 0x80 if code < 0x90 else size(MAPS))]
        need(all(type(name) is str for name, _ in pairs) and len(dict(pairs)) == len(pairs), "names")
        return dict(pairs)

    try:
        found = value()
    except UnicodeDecodeError as error:
        raise Refused("no string") from error
    need(at == len(content), "more than one value")
    need(second.pack(found) == content, "not canonical")
    return found


def blob(least: int, most: int) -> documents.Rule:
    return lambda value: type(value) is bytes and least <= len(value) <= most


def read_opening(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = unpack(content)
    any_bytes, number = blob(0, 2**32), documents.integer(0, 2**64 - 1)
    need(type(value) is dict, "no map")
    listed, fields = documents.listed, documents.fields
    path, parts = listed(blob(32, 32), 0, 64), listed(listed(blob(1, 2**30)))
    salt = documents.null_or(blob(32, 32))
    first = value.get("format") == "pol-jax/1"
    newer: dict[str, documents.Rule] = {
        "interventions": listed(lambda each: fields(each, after=documents.integer(0, 2**32 - 1), leaves=parts)),
        "decisions": listed(decided),
    }
    leaves = listed(any_bytes) if first else parts
    rules: dict[str, documents.Rule] = {
        "format": documents.one_of("pol-jax/1", "pol-jax/2"),
        "claim": blob(32, 32),
        **dict.fromkeys(("commitment", "init", "step"), any_bytes),
        "rows": listed(lambda each: fields(each, row=any_bytes, path=path)),
        "states": listed(lambda each: fields(each, step=number, leaves=leaves)),
        "records": listed(lambda each: fields(each, index=number, salt=salt, leaves=listed(any_bytes), path=path)),
        **({} if first else newer),
    }
    fields(value, **rules)
    need(list(value) == list(rules), "order of fields")
    for part, order in (
        ("rows", ["row", "path"]),
        ("states", ["step", "leaves"]),
        ("records", ["index", "salt", "leaves", "path"]),
        ("interventions", ["after", "leaves"]),
        ("decisions", ["step", "sites"]),
    ):
        need(all(list(each) == order for each in value.get(part, [])), "order of fields")
    for each in [] if first else [*value["states"], *value["interventions"]]:
        need(all(len(part) == 2**30 for leaf in each["leaves"] for part in leaf[:-1]), "parts")
    need(documents.ascending([each["step"] for each in value.get("decisions", [])]), "decisions")
    return value


def decided(value: Any) -> None:
    sites = documents.listed(
        lambda each: documents.fields(
            each, site=documents.integer(0, 2**32 - 1), indices=blob(8, 2**23), values=blob(2, 2**23)
        ),
        1,
        2**16,
    )
    documents.fields(value, step=documents.integer(1, 2**32 - 1), sites=sites)
    need(documents.ascending([each["site"] for each in value["sites"]]), "decisions")
    for each in value["sites"]:
        need(list(each) == ["site", "indices", "values"] and len(each["indices"]) % 8 == 0, "decisions")
        indices = np.frombuffer(each["indices"], "<u8").tolist()
        need(documents.ascending(indices) and indices[-1] < 2**48, "decisions")
        need(len(each["values"]) in [width * len(indices) for width in (2, 4, 8)], "decisions")
    need(sum(len(each["indices"]) // 8 for each in value["sites"]) <= 2**20, "decisions")


def verify_opening(content: bytes, claimed: bytes, steps: list[int]) -> None:
    """Go through stages 1 to 8 of section 14; ends with `Ended`, unless all is passed."""
    with stage(1):
        opening = read_opening(content)
    with stage(2):
        claim = documents.claim(claimed)
        version = version_of(claim)
        need(opening["claim"] == digest("claim", claimed, version=version), "another claim")
    with stage(3):
        commitment = documents.commitment(opening["commitment"])
        seed = check_commitment(opening["commitment"], commitment, claim)
        need(opening["format"] == claim["format"], "format")
        for name in ("init", "step"):
            need(digest(f"{name} program", opening[name]).hex() == commitment["program"][name], name)
    with stage(4):
        rows = check_opened_rows(opening["rows"], commitment, claim)
    schedule, last = commitment["schedule"], claim["steps"]
    spans = {span_of(step, schedule, last) for step in steps}
    shown = {each["step"] for each in opening["states"]}
    answered = [each for each in spans if set(each) <= shown and set(range(each[0], each[1] + 1)) <= rows.keys()]
    within = sorted({step for start, stop in answered for step in range(start + 1, stop + 1)})
    with stage(5):
        need(documents.ascending([each["index"] for each in opening["records"]]), "records")
        records = check_opened_records(opening["records"], commitment["data"])
        for row in rows.values():
            check_inputs(row, commitment, seed, records)
        for step in within:
            need(set(rows[step]["indices"]) <= records.keys(), "records")
        need({each["step"] for each in opening.get("decisions", [])} <= rows.keys(), "decisions")
    with stage(6):
        states = check_opened_states(opening["states"], commitment["state"], rows)
        named = {each["after"]: each for each in claim.get("interventions", [])}
        check_opened_interventions(opening.get("interventions", []), commitment["state"], named)
        given = {each["after"] for each in opening.get("interventions", [])}
        need(not ({step - 1 for step in within} & named.keys()) - given, "interventions")
    begun = commitment["initial"]
    with stage(7):
        if begun["origin"] != "key" and 0 in states:
            found = second.taken_digest(commitment["state"], states[0], begun["leaves"])
            need(found.hex() == begun["digest"], "initial")
    if len(answered) < len(spans) or 0 not in states or last not in rows:
        raise Ended("inconclusive", 8, "something is left out")


def span_of(step: int, schedule: dict[str, Any], steps: int) -> tuple[int, int]:
    start, stop = step - 1, step
    while not has_state(start, schedule, steps):
        start -= 1
    while not has_state(stop, schedule, steps):
        stop += 1
    return start, stop


def check_opened_rows(opened: list[Any], commitment: dict[str, Any], claim: dict[str, Any]) -> dict[int, Any]:
    version, rows = version_of(claim), dict[int, Any]()
    for each in opened:
        row = read_row(each["row"], version)
        need(row["step"] <= claim["steps"] and row["step"] > max(rows, default=-1), "rows")
        leaf = digest("ledger row", each["row"], version=version)
        root = second.merkle_check(leaf, row["step"], claim["steps"] + 1, each["path"])
        need(root.hex() == claim["ledger_root"], "rows")
        check_form(row, commitment, claim["steps"])
        rows[row["step"]] = row
    last = rows.get(claim["steps"])
    need(last is None or last["state"].hex() == claim["final_state"], "final_state")
    return rows


def read_row(content: bytes, version: int) -> dict[str, Any]:
    """Decode a row; bytes that would not be written in this way are none."""
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        need(at + count <= len(content), "no row")
        at += count
        return content[at - count : at]

    def number() -> int:
        return int.from_bytes(take(8), "little")

    step, key = number(), take(number())
    count = number()
    need(8 * count <= len(content), "no row")
    indices = [number() for _ in range(count)]
    batch = take(32)
    state = take(32) if take(1) != b"\0" else None
    metrics = (take(4) if take(1) != b"\0" else b"") if version == 1 else take(4 * number())
    row = {"step": step, "key": key, "indices": indices, "batch": batch, "state": state, "metrics": metrics}
    need(at == len(content) and row_bytes(row, version) == content, "no row")
    return row


def check_opened_records(opened: list[Any], data: dict[str, Any]) -> dict[int, bytes]:
    for each in opened:
        need((each["salt"] is not None) == data["salted"], "salt")
        sizes = [math.prod(leaf["shape"]) * second.ITEM_BYTES[leaf["dtype"]] for leaf in data["record"]]
        need([len(leaf) for leaf in each["leaves"]] == sizes, "records")
        for leaf, content in zip(data["record"], each["leaves"], strict=True):
            need(leaf["dtype"] != "bool" or not set(content) - {0, 1}, "bool")
    return second.opened_records(opened, data)


def check_opened_states(opened: list[Any], spec: list[Any], rows: dict[int, Any]) -> dict[int, list[bytes]]:
    states = dict[int, list[bytes]]()
    for each in opened:
        need(each["step"] > max(states, default=-1) and each["step"] in rows, "states")
        leaves = opened_leaves(each["leaves"], spec)
        need(second.state_digest(spec, leaves) == rows[each["step"]]["state"], "states")
        states[each["step"]] = leaves
    return states


def opened_leaves(leaves: list[Any], spec: list[Any]) -> list[bytes]:
    contents = [each if type(each) is bytes else b"".join(each) for each in leaves]
    sizes = [math.prod(leaf["shape"]) * second.ITEM_BYTES[leaf["dtype"]] for leaf in spec]
    need([len(each) for each in contents] == sizes, "leaves")
    for leaf, content in zip(spec, contents, strict=True):
        need(leaf["dtype"] != "bool" or not set(content) - {0, 1}, "bool")
    return contents


def check_opened_interventions(opened: list[Any], spec: list[Any], named: dict[int, Any]) -> None:
    need(documents.ascending([each["after"] for each in opened]), "interventions")
    for each in opened:
        need(each["after"] in named, "interventions")
        part = [leaf for leaf in spec if leaf["path"] in named[each["after"]]["leaves"]]
        found = second.state_digest(part, opened_leaves(each["leaves"], part))
        need(found.hex() == named[each["after"]]["digest"], "interventions")
