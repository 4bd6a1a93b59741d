"""The ledger: one row a step, one Parquet file a segment, a Merkle tree over all rows.

Segment i has the rows of the steps ``i*k + 1`` to ``(i+1)*k``, the first one also row 0, the initial state's. Any row
is found by reading one file. The rows are what is hashed, not the files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt64

from pol_jax.encoding import DIGEST_BYTES, Digest, row_bytes, row_digest
from pol_jax.errors import ProofError, unreadable

DIRECTORY: Final = "ledger"

SCHEMA: Final = pa.schema(
    [
        pa.field("step", pa.uint64(), nullable=False),
        pa.field("key", pa.binary(), nullable=False),
        pa.field("indices", pa.list_(pa.field("element", pa.uint64(), nullable=False)), nullable=False),
        pa.field("batch_digest", pa.binary(DIGEST_BYTES), nullable=False),
        pa.field("state_digest", pa.binary(DIGEST_BYTES)),
        pa.field("loss", pa.float32()),
    ]
)


@dataclass(frozen=True, eq=False)
class Row:
    """What is recorded of one step. Equal rows have equal bytes, the loss included.

    Attributes:
        step: 0 for the initial state.
        key: key data of the step.
        indices: the records of the batch, in order; empty in row 0.
        batch: digest of the batch.
        state: digest of the state after the step, or None at a step without a witness.
        loss: as little-endian ``float32`` bytes; None in row 0.
    """

    step: int
    key: bytes
    indices: UInt64[np.ndarray, " batch"]
    batch: Digest
    state: Digest | None
    loss: bytes | None

    def encode(self) -> bytes:
        """The bytes that are hashed."""
        return row_bytes(self.step, self.key, self.indices, self.batch, self.state, self.loss)

    def digest(self) -> Digest:
        """The row's leaf in the Merkle tree."""
        return row_digest(self.encode())

    @property
    def loss_value(self) -> float | None:
        """The loss as a number."""
        return None if self.loss is None else float(np.frombuffer(self.loss, "<f4")[0])

    def __eq__(self, other: object) -> bool:
        """Byte for byte."""
        return isinstance(other, Row) and self.encode() == other.encode()

    def __hash__(self) -> int:
        """By the step."""
        return hash(self.step)


def differences(a: Row, b: Row) -> list[str]:
    """Names of the fields in which two rows differ, as the columns are called."""
    pairs = {
        "step": a.step == b.step,
        "key": a.key == b.key,
        "indices": np.array_equal(a.indices, b.indices),
        "batch_digest": a.batch == b.batch,
        "state_digest": a.state == b.state,
        "loss": a.loss == b.loss,
    }
    return [name for name, same in pairs.items() if not same]


@dataclass(frozen=True)
class Segments:
    """How T steps fall into segments of k."""

    steps: int
    interval: int

    def __len__(self) -> int:
        """Number of segments."""
        return -(-self.steps // self.interval)

    def bounds(self, segment: int) -> tuple[int, int]:
        """The steps (start, stop] of a segment: checkpoints lie at such ends, and nowhere else."""
        return segment * self.interval, min((segment + 1) * self.interval, self.steps)

    def rows(self, segment: int) -> range:
        """The rows in the segment's file."""
        start, stop = self.bounds(segment)
        return range(0 if segment == 0 else start + 1, stop + 1)

    def of_step(self, step: int) -> int:
        """The segment whose file has the row of ``step``."""
        return max(0, (step - 1) // self.interval)


def segment_file(segment: int) -> str:
    """Path of a segment's file in the proof."""
    return f"{DIRECTORY}/{segment:010d}.parquet"


def seal(root: Path, segment: int, rows: Sequence[Row]) -> None:
    """Write a segment's rows: to a temporary file, to the disk, then under its name."""
    columns = {
        "step": pa.array([row.step for row in rows], pa.uint64()),
        "key": pa.array([row.key for row in rows], pa.binary()),
        "indices": pa.array([row.indices for row in rows], SCHEMA.field("indices").type),
        "batch_digest": pa.array([row.batch for row in rows], pa.binary(DIGEST_BYTES)),
        "state_digest": pa.array([row.state for row in rows], pa.binary(DIGEST_BYTES)),
        "loss": _losses(rows),
    }
    target = root / segment_file(segment)
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_suffix(".tmp")
    with temporary.open("wb") as file:
        table = pa.table(columns, schema=SCHEMA)
        pq.write_table(table, file, compression="zstd", write_page_checksum=True, use_dictionary=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


def read_segment(root: Path, segment: int, expected: range) -> list[Row]:
    """The rows of a segment, which must be those of the steps ``expected``.

    Raises:
        ProofError: damaged, of another schema, with other rows.
    """
    where = segment_file(segment)
    try:
        content = (root / where).read_bytes()
    except OSError as error:
        raise unreadable(where, f"can't be read: {error.strerror}", error) from error
    rows = _rows(where, _read_table(where, content, len(expected)))
    if [row.step for row in rows] != list(expected):
        raise ProofError(where, f"has other steps than {expected.start} to {expected.stop - 1}, in order")
    return rows


def read_row(root: Path, segments: Segments, step: int) -> Row:
    """The row of one step; reads one file."""
    segment = segments.of_step(step)
    expected = segments.rows(segment)
    return read_segment(root, segment, expected)[step - expected.start]


def read_rows(root: Path, segments: Segments) -> Iterator[Row]:
    """All rows in order, one segment in memory at a time."""
    for segment in range(len(segments)):
        yield from read_segment(root, segment, segments.rows(segment))


def last_step(root: Path, segment: int) -> int:
    """The last step in a segment's file, by its own word; for runs that are still open."""
    where = segment_file(segment)
    try:
        steps = pq.read_table(root / where, columns=["step"], page_checksum_verification=True)["step"]
        return int(steps[-1].as_py())
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise unreadable(where, f"damaged: {str(error).splitlines()[0][:120]}", error) from error


def _losses(rows: Sequence[Row]) -> pa.Array:
    """Losses as float32, bit for bit: a NaN keeps its payload."""
    raw = b"".join(row.loss or bytes(4) for row in rows)
    return pa.array(np.frombuffer(raw, "<f4"), pa.float32(), mask=np.array([row.loss is None for row in rows]))


def _read_table(where: str, content: bytes, rows: int) -> pa.Table:
    try:
        file = pq.ParquetFile(
            io.BytesIO(content),
            page_checksum_verification=True,
            thrift_string_size_limit=2**20,
            thrift_container_size_limit=2**16,
        )
        metadata = file.metadata
        if metadata.num_rows != rows:
            raise ProofError(where, f"has {metadata.num_rows} rows, expected {rows}")
        if not file.schema_arrow.equals(SCHEMA):
            raise ProofError(where, "has another schema than the ledger's")
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > _most_bytes(rows):
            raise ProofError(where, f"unpacks to more than {_most_bytes(rows)} bytes")
        if any(_is_expanded(group.column(at)) for group in groups for at in range(group.num_columns)):
            raise ProofError(where, "has another encoding than PLAIN; its real size can't be told")
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(where, f"damaged: {str(error).splitlines()[0][:120]}", error) from error
    return table


def _is_expanded(column: pq.ColumnChunkMetaData) -> bool:
    """Whether values may take more bytes than are stored: one of a dictionary stands for any number of them."""
    return column.has_dictionary_page or not {"PLAIN", "RLE"}.issuperset(column.encodings)


def _most_bytes(rows: int) -> int:
    """What the rows of a segment may take uncompressed: 8 MiB of indices each (the largest batch)."""
    return min((rows + 1) * 2**23, 2**31)


def _rows(where: str, table: pa.Table) -> list[Row]:
    columns = {name: table[name].combine_chunks() for name in SCHEMA.names}
    for field in SCHEMA:
        if not field.nullable and columns[field.name].null_count:
            raise ProofError(where, f"column {field.name} has a null")
    lists = columns["indices"]
    ends, indices = lists.offsets.to_numpy().tolist(), lists.values.to_numpy(zero_copy_only=False).astype(np.uint64)
    losses = columns["loss"]
    bits = losses.fill_null(0).to_numpy(zero_copy_only=False).astype("<f4").view("<u4").astype("<u4")
    plain = [columns[name].to_pylist() for name in ("step", "key", "batch_digest", "state_digest")]
    return [
        Row(
            step,
            key,
            indices[ends[at] : ends[at + 1]],
            batch,
            state,
            bits[at].tobytes() if losses[at].is_valid else None,
        )
        for at, (step, key, batch, state) in enumerate(zip(*plain, strict=True))
    ]
