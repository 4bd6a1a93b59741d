"""Records from an iterator are written once, and read like any others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tiny

from pol_jax.errors import DataError, UserCodeError
from pol_jax.proving.train import train
from pol_jax.storage.record_directory import RecordDirectory, records_from


def stream(count: int = 600, fails: int | None = None, offset: int = 0) -> Iterator[Any]:
    for index in range(count):
        if index == fails:
            raise OSError(5, "Input/output error", "/data/shard-3")
        half = np.full(2, index, ml_dtypes.bfloat16)
        yield {"x": np.arange(3, dtype=np.float32) + index + offset, "pair": (np.int64(index), half)}


def check(source: RecordDirectory, count: int = 600) -> None:
    assert len(source) == count
    for index in (0, 255, 256, count - 1):
        record, expected = source[index], list(stream(count))[index]
        np.testing.assert_array_equal(record["x"], expected["x"])
        assert record["pair"]["0"] == index
        assert record["pair"]["1"].dtype == ml_dtypes.bfloat16
    assert source.records_at(np.array([7, 3]))["pair"]["0"].tolist() == [7, 3]


def test_written_once_and_read_by_index(tmp_path: Path) -> None:
    check(records_from(stream(), tmp_path / "records"))
    check(records_from(stream(0), tmp_path / "records"))  # complete: nothing is asked for again
    check(RecordDirectory(tmp_path / "records"))
    assert repr(RecordDirectory(tmp_path / "records")).endswith("records': 600 records>")
    with pytest.raises(IndexError):
        RecordDirectory(tmp_path / "records")[600]


@pytest.mark.parametrize("cut", [0, 5])
def test_an_interruption_is_continued(cut: int, tmp_path: Path) -> None:
    root = tmp_path / "records"
    with pytest.raises(UserCodeError, match=r"records: record 400: .* in stream: OSError"):
        records_from(stream(fails=400), root)
    with pytest.raises(DataError, match="or not all"):
        RecordDirectory(root)
    with (root / "rows").open("ab") as file:
        file.write(bytes(cut))
    check(records_from(stream(), root))


def test_records_without_elements_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hold no number \(/x of shape \(0,\)\)"):
        records_from(iter([{"x": np.zeros(0, np.float32)}] * 2), tmp_path / "records")
    root = tmp_path / "written"
    records_from(stream(2), root)
    spec = (root / "spec.json").read_bytes()
    (root / "spec.json").write_bytes(re.sub(rb'"shape":\[[^]]*\]', b'"shape":[0]', spec))
    (root / "rows").write_bytes(b"")
    with pytest.raises(DataError, match="hold no number"):
        RecordDirectory(root)


def test_other_records_after_an_interruption(tmp_path: Path) -> None:
    root = tmp_path / "records"
    with pytest.raises(UserCodeError):
        records_from(stream(fails=400), root)
    with pytest.raises(DataError, match="are not those that were written before"):
        records_from(stream(offset=1), root)
    with pytest.raises(DataError, match="records of other shapes or dtypes"):
        records_from(iter([{"x": 1}]), root)
    with pytest.raises(DataError, match="now gave only 10"):
        records_from(stream(10), root)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "no records"),
        ([{"x": 1}, {"x": 1.5}], "after record 0: record 1: leaf /x: got float32"),
        ([{"x": "text"}], "expected an array of numbers"),
    ],
)
def test_what_can_t_be_written(records: list[Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        records_from(iter(records), tmp_path / "records")


def test_a_damaged_directory(tmp_path: Path) -> None:
    root = tmp_path / "records"
    records_from(stream(), root)
    with (root / "rows").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="expected 600 records of"):
        RecordDirectory(root)
    (root / "spec.json").write_text("{}")
    with pytest.raises(DataError, match="is no directory of records"):
        RecordDirectory(root)


def test_the_same_run_as_with_the_records_in_memory(tmp_path: Path) -> None:
    task = tiny.plain()
    source = records_from((task.source[index] for index in range(tiny.RECORDS)), tmp_path / "records")
    one, other = (
        train(replace(task, source=each), tmp_path / name, steps=4)
        for each, name in ((source, "one"), (task.source, "other"))
    )
    assert one.claim == other.claim
