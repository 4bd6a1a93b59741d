"""The journal keeps every whole row."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LAYOUTS, _row, law, row_lists

from pol_jax.errors import ProofError
from pol_jax.protocol.rows import Row, RowLayout
from pol_jax.storage.journal import Journal, read_journal


@law(8)
@given(row_lists(most=3))
def test_a_torn_journal_keeps_every_whole_row(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path, rows[:1])
    ends = [path.stat().st_size]
    for row in rows[1:]:
        journal.append(row.encode())
        ends.append(path.stat().st_size)
    journal.close()
    content = path.read_bytes()
    layout = rows[0].layout
    assert read_journal(path, layout) == rows
    for size in range(len(content)):
        whole = rows[: sum(end <= size for end in ends)]
        path.write_bytes(content[:size])
        assert read_journal(path, layout) == whole
        path.write_bytes(content[:size] + bytes(64))  # what a file system may leave after a power loss
        found = read_journal(path, layout)
        assert len(found) >= len(whole)  # zeros may complete a row that ends with zeros
        assert found == rows[: len(found)]


@law(100)
@given(st.binary(max_size=120), st.booleans(), LAYOUTS)
def test_a_journal_of_anything_is_read(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, framed: bool, layout: RowLayout
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    frame = struct.pack("<II", len(content), zlib.crc32(content))
    path.write_bytes(frame + content if framed else content)
    for row in read_journal(path, layout):
        assert row.encode() == content


@pytest.mark.parametrize("tail", [b"", bytes(7), bytes(9), b"\1" + bytes(10), b"\1" + bytes(12), b"\2" + bytes(11)])
def test_a_journal_ends_where_no_row_is(tmp_path: Path, tail: bytes) -> None:
    content = _row(1).encode()[:-12] + tail
    whole = Journal(tmp_path / "journal", [_row(1)])
    whole.close()
    frame = struct.pack("<II", len(content), zlib.crc32(content)) + content
    with (tmp_path / "journal").open("ab") as file:
        file.write(frame)
    assert read_journal(tmp_path / "journal", RowLayout()) == [_row(1)]


def test_a_journal_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal", RowLayout()) == []


def test_a_cleared_journal_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", [_row(1)])
    journal.clear()
    journal.append(_row(2).encode())
    journal.close()
    assert read_journal(tmp_path / "journal", RowLayout()) == [_row(2)]


@pytest.mark.parametrize("head", [b"", struct.pack("<II", 2**32 - 1, 0)], ids=["zeros", "a frame of 4 GiB"])
def test_a_journal_of_ten_gigabytes_takes_no_memory(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(head)
    os.truncate(tmp_path / "journal", 10**10)  # sparse: it takes no space
    tracemalloc.start()
    try:
        assert read_journal(tmp_path / "journal", RowLayout()) == []
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_journal_of_more_rows_than_a_segment_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row(1, b"key", np.arange(4, dtype=np.uint64), bytes(32), bytes(32), bytes(4))
    Journal(tmp_path / "journal", [row] * 9).close()
    monkeypatch.setattr("pol_jax.storage.journal.MAX_BYTES", 8 * len(row.encode()))
    with pytest.raises(ProofError, match="journal: has more than"):
        read_journal(tmp_path / "journal", RowLayout())


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device"])
def test_a_journal_that_is_no_plain_file_holds_nobody_up(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    make: dict[str, Callable[[Path], None]] = {
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "link": lambda path: path.symlink_to(path),
        "device": lambda path: path.symlink_to("/dev/zero"),
    }
    make[kind](path)
    with pytest.raises(ProofError, match="journal: can't be read"):
        read_journal(path, _row(1).layout)


def test_a_journal_has_no_more_rows_than_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows may be small, and take far more memory than room on a disk."""
    Journal(tmp_path / "journal", [_row(step) for step in range(4)]).close()
    layout = _row(1).layout
    monkeypatch.setattr("pol_jax.storage.ledger.MOST_ROWS", 4)
    assert len(read_journal(tmp_path / "journal", layout)) == 4
    monkeypatch.setattr("pol_jax.storage.ledger.MOST_ROWS", 3)
    with pytest.raises(ProofError, match="journal: has more than 3 rows"):
        read_journal(tmp_path / "journal", layout)
