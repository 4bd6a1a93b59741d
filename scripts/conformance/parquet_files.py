"""One segment of the ledger, written by ordinary tools in other ways (docs/protocol.md, section 5.1)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

Kept = Callable[[str, Callable[[], bytes]], bytes]
Change: TypeAlias = Callable[[pa.Table], pa.Table]


def rewritings(path: Path, kept: Kept) -> Iterator[tuple[str, bool, bytes]]:
    """Yield rewritten segments: a name, whether a reader takes it, and the content of the file."""
    for right, written in ((True, RIGHT), (False, WRONG)):
        for name, change, options in written:
            yield name, right, kept(f"{name}.parquet", partial(_written, path, change, options))
    name = "a segment whose pages have another encoding than it says"
    yield name, False, kept(f"{name}.parquet", partial(_lying, path))


def _lying(path: Path) -> bytes:
    """Write steps as differences, and put PLAIN into the footer: into the list of encodings, and into their counts."""
    content = _written(path, _same, {"column_encoding": {"step": "DELTA_BINARY_PACKED"}, "write_statistics": False})
    for true, wrong in (("1925060a", "19250600"), ("1500150a1502", "150015001502")):
        if content.count(bytes.fromhex(true)) != 1:
            raise ValueError(f"{true}: is not once in the footer that this pyarrow writes")
        content = content.replace(bytes.fromhex(true), bytes.fromhex(wrong))
    return content


def _written(path: Path, change: Change, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    defaults = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True, "store_schema": False}
    pq.write_table(change(pq.read_table(path)), file, **(defaults | options))
    return file.getvalue()


def _same(table: pa.Table) -> pa.Table:
    return table


def _as(name: str, kind: pa.DataType, *, nullable: bool = False) -> Change:
    """Give a column another type."""

    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        field = pa.field(name, kind, nullable=nullable)
        return table.set_column(at, field, table[name].cast(kind))

    return change


def _list_of(kind: pa.DataType, name: str = "element", *, nullable: bool = False) -> pa.DataType:
    return pa.list_(pa.field(name, kind, nullable=nullable))


def _flat(table: pa.Table) -> pa.Table:
    """Keep one metric, as version 1 does."""
    values = [row[0] for row in table["metrics"].to_pylist()]
    return table.drop_columns(["metrics"]).append_column("loss", pa.array(values, pa.float32()))


def _many_indices(table: pa.Table) -> pa.Table:
    """Give rows so many equal indices that they take little space in the file."""
    field = table.schema.field("indices")
    return table.set_column(2, field, pa.array([[0] * 4_000_000] * len(table), field.type))


RIGHT: Final[tuple[tuple[str, Change, dict[str, Any]], ...]] = (
    ("a segment with a row group for each row", _same, {"row_group_size": 1}),
    ("a segment without checksums", _same, {"write_page_checksum": False}),
    ("a segment without compression", _same, {"compression": "none"}),
    ("a segment with Arrow's schema in it", _same, {"store_schema": True}),
    ("a segment without statistics", _same, {"write_statistics": False}),
    ("a segment with an index of pages", _same, {"write_page_index": True}),
)

WRONG: Final[tuple[tuple[str, Change, dict[str, Any]], ...]] = (
    ("a segment compressed by snappy", _same, {"compression": "snappy"}),
    ("a segment compressed by gzip", _same, {"compression": "gzip"}),
    ("a segment compressed by LZ4", _same, {"compression": "lz4"}),
    ("a segment with dictionaries", _same, {"use_dictionary": True}),
    ("a segment in another encoding", _same, {"column_encoding": {"step": "DELTA_BINARY_PACKED"}}),
    ("a segment with split floats", _same, {"column_encoding": {"metrics.list.element": "BYTE_STREAM_SPLIT"}}),
    ("a segment whose lists have an item", _as("indices", _list_of(pa.uint64(), "item")), {
        "use_compliant_nested_type": False
    }),
    ("a segment whose steps may be null", _as("step", pa.uint64(), nullable=True), {}),
    ("a segment with signed steps", _as("step", pa.int64()), {}),
    ("a segment with short steps", _as("step", pa.uint32()), {}),
    ("a segment whose keys are of fixed size", _as("key", pa.binary(8)), {}),
    ("a segment whose keys may be null", _as("key", pa.binary(), nullable=True), {}),
    ("a segment whose batch digests are of any size", _as("batch_digest", pa.binary()), {}),
    ("a segment whose state digests are required", _as("state_digest", pa.binary(32)), {}),
    ("a segment of double metrics", _as("metrics", _list_of(pa.float64())), {}),
    ("a segment whose metrics may be null", _as("metrics", _list_of(pa.float32(), nullable=True)), {}),
    ("a segment of signed indices", _as("indices", _list_of(pa.int64())), {}),
    ("a segment with one loss a row", _flat, {}),
    ("a segment without keys", lambda table: table.drop_columns(["key"]), {}),
    ("a segment with another column", lambda table: table.append_column("extra", table["step"]), {}),
    ("a segment with a column twice", lambda table: table.append_column("step", table["step"]), {}),
    ("a segment with columns in another order", lambda table: table.select([1, 0, 2, 3, 4, 5]), {}),
    ("a segment with a column renamed", lambda table: table.rename_columns(
        ["step", "key", "indices", "batch", "state_digest", "metrics"]
    ), {}),
    ("a segment with its rows twice", lambda table: pa.concat_tables([table, table]), {}),
    ("a segment without its last row", lambda table: table.slice(0, 1), {}),
    ("a segment without rows", lambda table: table.slice(0, 0), {}),
    ("a segment with its rows in another order", lambda table: table.take([1, 0]), {}),
    ("a segment that unpacks to too much", _many_indices, {}),
)  # fmt: skip
