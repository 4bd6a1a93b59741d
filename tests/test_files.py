"""Where a proof can be written, and that a failure leaves nothing behind."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import tiny
from directories import flushes

import pol_jax
from pol_jax.errors import StorageError, UsageError
from pol_jax.files import (
    as_path,
    flush_names,
    local_path,
    locked,
    read_beginning,
    read_own_file,
    storing,
    whole_directory,
    whole_file,
    write_whole,
)


def test_paths_are_texts_or_paths() -> None:
    assert as_path("a") == as_path(Path("a")) == Path("a")
    wrong: tuple[Any, ...] = (b"a", None, 3)
    for path in wrong:
        with pytest.raises(UsageError, match=r"path: expected a text or a pathlib\.Path, got "):
            as_path(path)
    with pytest.raises(UsageError, match="is an address"):
        local_path("gs://bucket/proof")


@pytest.mark.skipif(sys.platform != "linux", reason="reads which file is flushed from /proc")
def test_what_was_written_has_its_name_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the content is on the disk, then the file has its name, then the name is on the disk."""
    root = tmp_path.resolve()
    flushed = flushes(root, monkeypatch)
    write_whole(root / "file", b"content")
    assert flushed == [("file.tmp", ["file.tmp"]), (".", ["file"])]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_directory_that_can_t_be_flushed(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems can't, which is no error; a disk that fails is one."""

    def fails(_: int) -> None:
        raise OSError(number, "the disk fails")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="the disk fails") if number == errno.EIO else nullcontext():
        flush_names(tmp_path)


def test_a_file_of_the_user_is_read_within_a_bound(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("own")
    assert read_own_file(tmp_path / "own", 5) == read_own_file(tmp_path / "link", 5) == b"12345"
    assert read_beginning(tmp_path / "own", 4) == b"1234"
    with pytest.raises(UsageError, match=r"own: has more than 4 bytes\Z"):
        read_own_file(tmp_path / "own", 4)
    with pytest.raises(UsageError, match=r"own: has more than 4 bytes; expected four\Z"):
        read_own_file(tmp_path / "own", 4, "four")
    with pytest.raises(UsageError, match=r"no\\nwhere: can't be read: No such file or directory\Z"):
        read_own_file(tmp_path / "no\nwhere", 4)


def test_what_is_new_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "file") as file, whole_directory(tmp_path / "folder") as folder:
        file.write(b"all")
        (folder / "inside").touch()
        assert all(path.name.endswith(".partial") for path in tmp_path.iterdir())
    assert (tmp_path / "file").read_bytes() == b"all"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "inside"]


@pytest.mark.parametrize("whole", [whole_file, whole_directory])
def test_what_is_new_replaces_nothing_and_leaves_nothing_after_an_error(tmp_path: Path, whole: Any) -> None:
    with pytest.raises(StorageError, match="out: can't be written: Input/output error; nothing is left of it"):
        with whole(tmp_path / "out"):
            raise OSError(5, "Input/output error")
    with pytest.raises(ValueError, match="stop"), whole(tmp_path / "out"):
        raise ValueError("stop")
    with pytest.raises(UsageError, match="out: is there already"), whole(tmp_path / "out"):
        (tmp_path / "out").touch()  # by somebody else, meanwhile
    with pytest.raises(UsageError, match="out: is there already"), whole(tmp_path / "out"):
        pass
    with pytest.raises(StorageError, match=r"out: can't be written: No such file or directory\Z"):
        with whole(tmp_path / "nowhere/out"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def write_and_stop(path: Path) -> None:
    path.touch()
    raise ValueError("stop")


def test_directories_that_were_made_are_removed_if_they_stay_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), locked(tmp_path / "a/b"):
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="stop"), locked(tmp_path / "a/b"):
        write_and_stop(tmp_path / "a/file")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]
    (tmp_path / "a/b").mkdir()
    with pytest.raises(ValueError, match="stop"), locked(tmp_path / "a/b"):
        raise ValueError("stop")
    assert (tmp_path / "a/b").is_dir()


def test_a_directory_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path / "a"):
        with pytest.raises(StorageError, match="is in use by another process"), locked(tmp_path / "a"):
            pass
        assert (tmp_path / "a").is_dir()
    with locked(tmp_path / "a"):
        pass


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match="can't be written: File name too long; what was written before stays usable"
    ):
        with storing(tmp_path):
            (tmp_path / ("x" * 300)).mkdir()


def occupied(root: Path) -> dict[str, tuple[Path, str]]:
    (root / "file").write_text("mine")
    (root / "dangling").symlink_to("/nowhere/at/all")
    (root / "full").mkdir()
    (root / "full/notes.txt").write_text("mine")
    return {
        "a file": (root / "file", "is no directory; choose another path"),
        "a link to nothing": (root / "dangling", "is no directory; choose another path"),
        "a directory of something else": (root / "full", "is no proof and not empty (it has notes.txt)"),
        "a name that is too long": (root / ("x" * 300), "can't be written: File name too long"),
        "a file system of the kernel": (Path("/proc/x"), "/proc/x: can't be written: "),
    }


@pytest.mark.parametrize(
    "what",
    [
        "a file",
        "a link to nothing",
        "a directory of something else",
        "a name that is too long",
        "a file system of the kernel",
    ],
)
def test_a_place_that_can_hold_no_proof(what: str, tmp_path: Path) -> None:
    out, words = occupied(tmp_path)[what]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((StorageError, UsageError)) as caught:
        pol_jax.train(tiny.nested(), out, steps=1)
    assert words in str(caught.value)
    assert (caught.value.exit_code, sorted(tmp_path.rglob("*"))) == (2, before)
