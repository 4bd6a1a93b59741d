"""Attacks by ledger files that are true Parquet (stage 4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import check
from forge import refused, take_stock

from pol_jax.reports.report import Report
from pol_jax.storage.ledger import SCHEMA, segment_file


def rewritten(root: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> Report:
    """A verification after a segment of the ledger was rewritten by ordinary tools."""
    path = root / segment_file(1)
    options = {"compression": "zstd", "use_dictionary": False, "write_page_checksum": True} | options
    pq.write_table(change(pq.read_table(path)), path, **options)
    take_stock(root)
    return check(root)


def test_ledger_rewritten_by_other_tools_is_the_same_ledger(proof_copy: Path) -> None:
    assert rewritten(proof_copy, lambda table: table, compression="none", row_group_size=2)


@pytest.mark.parametrize("codec", ["snappy", "gzip", "lz4", "brotli"])
def test_ledger_compressed_by_something_else(proof_copy: Path, codec: str) -> None:
    report = rewritten(proof_copy, lambda table: table, compression=codec)
    refused(report, 4, segment_file(1), "is compressed, but not by zstd")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.slice(0, 5), "has 5 rows, expected 6"),
        (lambda t: pa.concat_tables([t, t]), "has 12 rows, expected 6"),
        (lambda t: t.drop_columns(["metrics"]), "another schema"),
        (lambda t: t.append_column("extra", t["metrics"]), "another schema"),
        (
            lambda t: t.rename_columns(["step", "key", "indices", "state_digest", "batch_digest", "metrics"]),
            "another schema",
        ),
        (lambda t: t.set_column(5, "metrics", t["metrics"].cast(pa.list_(pa.float64()))), "another schema"),
        (lambda t: t.set_column(0, "step", t["step"].cast(pa.int64())), "another schema"),
        (lambda t: t.select(["step", "indices", "key", "batch_digest", "state_digest", "metrics"]), "another schema"),
        (lambda t: t.take(list(range(5, -1, -1))), "other steps than 7 to 12"),
    ],
)
def test_ledger_of_another_shape(proof_copy: Path, change: Callable[[pa.Table], pa.Table], problem: str) -> None:
    refused(rewritten(proof_copy, change), 4, segment_file(1), problem)


def many_indices(table: pa.Table) -> pa.Table:
    """Rows with so many equal indices that they take no space in the file."""
    lists = pa.array([[0] * 3_000_000] * 6, SCHEMA.field("indices").type)
    return table.set_column(2, SCHEMA.field("indices"), lists)


@pytest.mark.parametrize("dictionary", [True, False])
def test_ledger_that_unpacks_to_much_more(proof_copy: Path, dictionary: bool) -> None:
    report = rewritten(proof_copy, many_indices, use_dictionary=dictionary)
    assert (proof_copy / segment_file(1)).stat().st_size < 200_000
    refused(report, 4, segment_file(1), "its real size" if dictionary else "unpacks to more than")
