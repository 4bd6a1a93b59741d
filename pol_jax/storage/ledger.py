"""The ledger has one row for each step, in one Parquet file for each segment (docs/protocol.md, section 5.1).

Segment i has the rows of the steps ``i*k + 1`` to ``(i+1)*k``; the first segment also has row 0, that of the initial
state. Any row is found by reading one file. The rows are hashed, and not the files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pol_jax.errors import ProofError, unreadable
from pol_jax.files import flush_names
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT_1
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.protocol.spans import Segments
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.parquet_pages import check_pages, codecs

DIRECTORY: Final = "ledger"

SegmentReader: TypeAlias = Callable[[Path, int, range, RowLayout], list[Row]]
"""This function reads a segment as `read_segment` does, in this process or in another one."""

_COMMON: Final = (
    pa.field("step", pa.uint64(), nullable=False),
    pa.field("key", pa.binary(), nullable=False),
    pa.field("indices", pa.list_(pa.field("element", pa.uint64(), nullable=False)), nullable=False),
    pa.field("batch_digest", pa.binary(DIGEST_BYTES), nullable=False),
    pa.field("state_digest", pa.binary(DIGEST_BYTES)),
)
_METRICS: Final = pa.field("metrics", pa.list_(pa.field("element", pa.float32(), nullable=False)), nullable=False)

SCHEMA: Final = pa.schema([*_COMMON, _METRICS])
SCHEMA_1: Final = pa.schema([*_COMMON, pa.field("loss", pa.float32())])
"""Version 1 has the loss in the place of all metrics."""


_LISTS: Final = frozenset({"indices.list.element", "metrics.list.element"})


def schema_of(layout: RowLayout) -> pa.Schema:
    """Return the columns of a file whose rows have this layout."""
    return SCHEMA_1 if layout.version == FORMAT_1 else SCHEMA


MOST_ROWS: Final = 2**20 + 1
"""A segment has at most this many rows: those of the largest interval, and row 0."""

_CODECS: Final = frozenset({0, 6})
"""Hostile bytes reach no decompressor beside the one that is needed."""


def segment_file(segment: int) -> str:
    """Return the path of a segment's file, relative to the proof."""
    return f"{DIRECTORY}/{segment:010d}.parquet"


def seal(root: Path, segment: int, rows: Sequence[Row]) -> None:
    """Write the rows of a segment to a temporary file, flush it to the disk, and rename it."""
    columns = {
        "step": pa.array([row.step for row in rows], pa.uint64()),
        "key": pa.array([row.key for row in rows], pa.binary()),
        "indices": pa.array([row.indices for row in rows], SCHEMA.field("indices").type),
        "batch_digest": pa.array([row.batch for row in rows], pa.binary(DIGEST_BYTES)),
        "state_digest": pa.array([row.state for row in rows], pa.binary(DIGEST_BYTES)),
    }
    schema = schema_of(rows[0].layout)
    last = schema.field(len(_COMMON))
    columns[last.name] = _losses(rows) if schema is SCHEMA_1 else _metrics(rows)
    target = root / segment_file(segment)
    if not target.parent.exists():
        target.parent.mkdir()
        flush_names(root)
    temporary = target.with_suffix(".tmp")
    with temporary.open("wb") as file:
        table = pa.table(columns, schema=schema)
        # Readers refuse dictionaries; see `_is_expanded`.
        pq.write_table(table, file, compression="zstd", write_page_checksum=True, use_dictionary=False)
        # The rows leave the journal next, so they must be on the disk before.
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    flush_names(target.parent)


def read_segment(root: Path, segment: int, expected: range, layout: RowLayout) -> list[Row]:
    """Return the rows of a segment, which must be those of the steps ``expected``, with the metrics of ``layout``.

    Raises:
        ProofError: the file is too large or damaged, or has another schema or other rows.
    """
    where = segment_file(segment)
    content = read_bounded(root, where, Limits())
    rows = _rows(_read_table(where, content, len(expected), (schema_of(layout),)), layout)
    if [row.step for row in rows] != list(expected):
        raise ProofError(where, f"has other steps than {expected.start} to {expected.stop - 1}, in order")
    return rows


def read_row(root: Path, segments: Segments, step: int, layout: RowLayout, *, read: SegmentReader | None = None) -> Row:
    """Return the row of one step, after reading one file."""
    segment = segments.of_step(step)
    expected = segments.rows(segment)
    return (read or read_segment)(root, segment, expected, layout)[step - expected.start]


def read_rows(root: Path, segments: Segments, layout: RowLayout, *, read: SegmentReader | None = None) -> Iterator[Row]:
    """Yield all rows in order, with one segment in memory at a time."""
    for segment in range(len(segments)):
        yield from (read or read_segment)(root, segment, segments.rows(segment), layout)


def last_step(root: Path, segment: int) -> int:
    """Return the last step in a segment's file as the file says; only for runs that are not finished.

    Raises:
        ProofError: the file is too large or damaged, or is no segment of a ledger.
    """
    where = segment_file(segment)
    table = _read_table(where, read_bounded(root, where, Limits()), None, (SCHEMA, SCHEMA_1))
    if not table.num_rows:
        raise ProofError(where, "has no rows")
    return int(table["step"][-1].as_py())


def _losses(rows: Sequence[Row]) -> pa.Array:
    """Return the losses as float32, bit for bit: a NaN keeps its payload."""
    # Any number takes the place of a loss that is not there: the mask makes it null.
    raw = b"".join(row.metrics or bytes(4) for row in rows)
    return pa.array(np.frombuffer(raw, "<f4"), pa.float32(), mask=np.array([not row.metrics for row in rows]))


def _metrics(rows: Sequence[Row]) -> pa.Array:
    """Return the metrics of each row as a list of float32, bit for bit."""
    ends = np.cumsum([0, *(len(row.metrics) // 4 for row in rows)], dtype=np.int32)
    values = np.frombuffer(b"".join(row.metrics for row in rows), "<f4")
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values, pa.float32()), type=_METRICS.type)


def _read_table(where: str, content: bytes, rows: int | None, schemas: Sequence[pa.Schema]) -> pa.Table:
    """Return the table in a file, if it has one of these schemas and this many rows, or any number for None."""
    try:
        file = pq.ParquetFile(
            io.BytesIO(content),
            page_checksum_verification=True,
            thrift_string_size_limit=2**20,  # the footer is parsed before anything in it could be checked
            thrift_container_size_limit=2**16,
        )
        metadata = file.metadata
        found = metadata.num_rows
        # Every bound below follows from the number of rows, so it is checked first.
        if found != rows and not (rows is None and found <= MOST_ROWS):
            raise ProofError(where, f"has {found} rows, expected {MOST_ROWS if rows is None else rows}")
        if not any(map(file.schema_arrow.equals, schemas)) or not _LISTS.issuperset(_nested(file.schema)):
            raise ProofError(where, "has another schema than the ledger's")
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        columns = [group.column(at) for group in groups for at in range(group.num_columns)]
        # Read from the footer's bytes: pyarrow's own reading of a codec's number may end the process (`codecs`).
        if not _CODECS.issuperset(codecs(content)):
            raise ProofError(where, "is compressed, but not by zstd")
        if sum(column.total_uncompressed_size for column in columns) > _byte_limit(found):
            raise ProofError(where, f"unpacks to more than {_byte_limit(found)} bytes")
        if any(_is_expanded(column) for column in columns):
            raise ProofError(where, "has another encoding than PLAIN, so that its real size is not known")
        for column in columns:
            check_pages(content, column)  # whatever the compression, no page unpacks to more than its header says
        table = file.read(use_threads=False)
        table.validate(full=True)  # offsets in a hostile file may point outside of its data
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(where, f"is damaged: {str(error).splitlines()[0][:120]}", error) from error
    return table


def _nested(schema: pq.ParquetSchema) -> set[str]:
    """Return the paths of columns in lists: Arrow finds lists equal whose parts have other names."""
    return {path for at in range(len(schema)) if "." in (path := schema.column(at).path)}


def _is_expanded(column: pq.ColumnChunkMetaData) -> bool:
    """Return whether the values may take more bytes than the file says, as with a dictionary of repeated values."""
    return column.has_dictionary_page or not {"PLAIN", "RLE"}.issuperset(column.encodings)


def _byte_limit(rows: int) -> int:
    """Return the largest uncompressed size of the rows of a segment; the largest batch has 8 MiB of indices."""
    return min((rows + 1) * 2**23, 2**31)


def _rows(table: pa.Table, layout: RowLayout) -> list[Row]:
    # Where the schema has no null, Parquet has no place for one.
    columns = {name: table[name].combine_chunks() for name in table.schema.names}
    indices = _lists(columns["indices"], "<u8")
    metrics = _single_bytes(columns["loss"]) if "loss" in columns else _list_bytes(columns["metrics"])
    plain = [columns[name].to_pylist() for name in ("step", "key", "batch_digest", "state_digest")]
    return [
        Row(step, key, chosen, batch, state, values, layout)
        for step, key, batch, state, chosen, values in zip(*plain, indices, metrics, strict=True)
    ]


def _lists(column: pa.ListArray, dtype: str) -> list[np.ndarray]:
    ends = column.offsets.to_numpy().tolist()
    values = column.values.to_numpy(zero_copy_only=False).astype(dtype)
    return [values[ends[at] : ends[at + 1]] for at in range(len(column))]


def _list_bytes(column: pa.ListArray) -> list[bytes]:
    return [values.tobytes() for values in _lists(column, "<f4")]


def _single_bytes(column: pa.Array) -> list[bytes]:
    """Return the bytes of each number, bit for bit; none where the row has no number."""
    bits = column.fill_null(0).to_numpy(zero_copy_only=False).astype("<f4").view("<u4").astype("<u4")
    return [bits[at].tobytes() if column[at].is_valid else b"" for at in range(len(column))]


def sealed_steps(root: Path, read_last: Callable[[Path, int], int] = last_step) -> int:
    """Return the last step in the sealed segments, which are sealed in order, or -1 if there are none."""
    count = 0
    while (root / segment_file(count)).exists():
        count += 1
    return read_last(root, count - 1) if count else -1
