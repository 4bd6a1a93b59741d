"""Sealed segments of the ledger are read as they were written, and hostile ones are refused."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import second_implementation as second
from directories import flushes
from hypothesis import given
from strategies import _row, law, row_lists

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import FORMAT_1
from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.protocol.spans import Segments
from pol_jax.storage.ledger import read_row, read_segment, seal, segment_file


@law(60)
@given(row_lists())
def test_sealed_rows_come_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    root = tmp_path_factory.mktemp("ledger")
    seal(root, 0, rows)
    expected = range(len(rows))
    layout = rows[0].layout
    assert read_segment(root, 0, expected, layout) == rows
    for row in rows:
        indices = row.indices.tolist()
        assert row.encode() == second.row_bytes(
            row.step, row.key, indices, row.batch, row.state, row.metrics, 1 if layout.version == FORMAT_1 else 2
        )
    for wrong in (range(1, len(rows) + 1), range(len(rows) + 1)):
        with pytest.raises(ProofError, match=segment_file(0)):
            read_segment(root, 0, wrong, layout)


def test_a_column_that_has_nulls_is_refused_whatever_the_file_says_of_it(tmp_path: Path) -> None:
    """Arrow keeps a schema of its own in the footer, which does not make a column what it is not."""
    seal(tmp_path, 0, [_row(0)])
    path = tmp_path / segment_file(0)
    table = pq.read_table(path)
    said = {"ARROW:schema": base64.b64encode(table.schema.serialize().to_pybytes())}
    nullable = pa.schema([field.with_nullable(True) for field in table.schema], metadata=said)
    without = table.set_column(0, nullable.field(0), pa.array([None], pa.uint64())).cast(nullable)
    options = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": False}
    pq.write_table(without, path, store_schema=False, **options)
    with pytest.raises(ProofError, match="another schema"):
        read_segment(tmp_path, 0, range(1), _row(0).layout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads which file is flushed from /proc")
def test_a_sealed_segment_is_there_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is emptied next: the rows must have their name on the disk, and so must the ledger."""
    root = tmp_path.resolve()
    flushed = flushes(root, monkeypatch)
    seal(root, 0, [_row(0)])
    name, made = segment_file(0), segment_file(0).replace("parquet", "tmp")
    assert flushed == [(".", ["ledger"]), (made, ["ledger", made]), ("ledger", ["ledger", name])]


def test_one_row_is_read_from_its_file(tmp_path: Path) -> None:
    segments = Segments(5, 2)
    for segment in range(len(segments)):
        seal(tmp_path, segment, [_row(step) for step in segments.rows(segment)])
    assert [read_row(tmp_path, segments, step, RowLayout()).step for step in range(6)] == list(range(6))


def test_a_segment_in_a_dictionary_encoding_is_refused(tmp_path: Path) -> None:
    """Two kilobytes of it can stand for more than any memory."""
    rows = [Row(step, bytes(8), np.zeros(2**18, np.uint64), bytes(32), None, b"") for step in range(3)]
    seal(tmp_path, 0, rows)
    path = tmp_path / segment_file(0)
    pq.write_table(pq.read_table(path), path, compression="zstd", use_dictionary=True)
    assert path.stat().st_size < 5000
    with pytest.raises(ProofError, match="encoding"):
        read_segment(tmp_path, 0, range(3), RowLayout())


def test_any_flipped_byte_of_a_segment_is_refused_or_harmless(tmp_path: Path) -> None:
    rows = [_row(step) for step in range(3)]
    seal(tmp_path, 0, rows)
    path = tmp_path / segment_file(0)
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        try:
            assert read_segment(tmp_path, 0, range(3), RowLayout()) == rows
        except ProofError:
            refused += 1
    assert refused > len(content) // 7 // 2
