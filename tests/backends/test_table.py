"""The tables have a row for each state and leaf."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
from measured_backends import STEPS, outcome

from pol_jax.backends.results import Results
from pol_jax.backends.table import SCHEMA, table, write_table


def test_tables_have_a_row_for_each_state_and_leaf(results: Results, elsewhere: Results, tmp_path: Path) -> None:
    write_table(table((results, elsewhere), 2.0), tmp_path / "t.parquet", tmp_path / "t.csv")
    read = pq.read_table(tmp_path / "t.parquet")
    assert read.schema.equals(SCHEMA)
    rows = read.to_pylist()
    leaves = len(outcome(results, "cpu").reproductions[0].leaves)
    assert len(rows) == 4 * 8 * (1 + leaves) + 7
    whole = [row for row in rows if row["backend"] == "cpu, no optimisation" and row["leaf"] is None]
    assert [row["stop"] for row in whole] == [*STEPS, 8, 9, 10]
    for row in whole:
        assert row["l2_relative"] == row["l2"] / row["update_l2"]
        assert row["l2_over_d_ref"] == row["l2"] / 2
    (missing,) = (row for row in rows if row["backend"] == "cuda" and row["machine"] == "here")
    assert (missing["status"], missing["kind"], missing["l2"]) == ("missing", None, None)
    with (tmp_path / "t.csv").open(newline="") as file:
        assert next(iter(csv.reader(file))) == SCHEMA.names
