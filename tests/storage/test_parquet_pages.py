"""Pages of Parquet files that claim to unpack to more than their columns are refused before they are unpacked."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import check
from forge import refused, take_stock

from pol_jax.errors import ProofError
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.parquet_pages import check_pages
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.diff import diff


def varint(number: int, length: int = 0) -> bytes:
    """An integer as Thrift's compact protocol stores it, in at least so many bytes."""
    zigzag, found = number << 1, bytearray()
    while zigzag > 127 or len(found) + 1 < length:
        found.append(zigzag & 127 | 128)
        zigzag >>= 7
    return bytes([*found, zigzag])


def footer_that_lies(content: bytes) -> bytes:
    """The same file, whose footer says that its key column and its row group unpack to 1,000 bytes."""
    group = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    head, tail = content[:footer], content[footer:]
    for number in (group.total_byte_size, group.column(1).total_uncompressed_size):
        assert varint(number) in tail
        tail = tail.replace(varint(number), varint(1000, len(varint(number))))
    return head + tail


def test_pages_larger_than_the_footer_says(proof_copy: Path) -> None:
    path = proof_copy / segment_file(1)
    table = pq.read_table(path)
    keys = pa.array([bytes(2**26), *table["key"].to_pylist()[1:]], pa.binary())
    larger = table.set_column(1, table.schema.field(1), keys)
    stream = io.BytesIO()
    pq.write_table(larger, stream, compression="zstd", use_dictionary=False, write_statistics=False)
    path.write_bytes(footer_that_lies(stream.getvalue()))
    assert path.stat().st_size < 50_000
    take_stock(proof_copy)
    refused(check(proof_copy), 4, segment_file(1), "larger than the footer says")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
def test_pages_that_arrow_writes_are_taken(version: str, compression: str) -> None:
    stream = io.BytesIO()
    table = pa.table({"a": list(range(5000)), "b": [[1, 2]] * 5000})
    options = {"use_dictionary": False, "data_page_size": 1000, "data_page_version": version}
    pq.write_table(table, stream, compression=compression, **options)
    group = pq.ParquetFile(stream).metadata.row_group(0)
    for at in range(group.num_columns):
        check_pages(stream.getvalue(), group.column(at))
        with pytest.raises(ValueError, match=r"page|column"):
            check_pages(b"\xff" * len(stream.getvalue()), group.column(at))
        with pytest.raises(ValueError, match=r"page|column"):
            check_pages(stream.getvalue()[: group.column(at).data_page_offset + 5], group.column(at))


def test_file_that_does_not_begin_as_parquet_does(proof_copy: Path) -> None:
    path = proof_copy / segment_file(1)
    path.write_bytes(b"PAR2" + path.read_bytes()[4:])
    take_stock(proof_copy)
    refused(check(proof_copy), 4, segment_file(1), "has no footer")


def test_file_beyond_the_limit_is_refused_by_its_size(proof_copy: Path) -> None:
    os.truncate(proof_copy / segment_file(1), 2**40)  # sparse: takes no space, and could not be read into memory
    with pytest.raises(ProofError, match="has more than 1073741824 bytes"):
        diff(open_proof(proof_copy), open_proof(proof_copy))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", ["DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"])
def test_pages_whose_values_may_stand_for_more(version: str, encoding: str) -> None:
    """A few bytes of differences stand for any number of equal steps, whatever the footer says."""
    stream = io.BytesIO()
    options = {"use_dictionary": False, "column_encoding": {"a": encoding}, "data_page_version": version}
    pq.write_table(pa.table({"a": [7] * 5000}), stream, **options)
    with pytest.raises(ValueError, match="another encoding than PLAIN"):
        check_pages(stream.getvalue(), pq.ParquetFile(stream).metadata.row_group(0).column(0))
