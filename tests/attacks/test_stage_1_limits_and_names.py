"""Attacks that stage 1 refuses: whatever lies in a proof's directory, what is no file of a proof is not read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from damage import check
from forge import refused, take_stock

from pol_jax import errors
from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.protocol.limits import Limits
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.ledger import segment_file

# --- which files there are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["commitment.json", "claim.json", "inventory.json"])
def test_a_missing_document_is_refused(proof_copy: Path, name: str) -> None:
    (proof_copy / name).unlink()
    refused(check(proof_copy), 1, name, "is missing")


def test_no_proof_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "records").write_bytes(b"")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(errors.UsageError, match=str(path)):
            check(path)


@pytest.mark.parametrize(
    ("source", "copy", "stage", "problem"),
    [
        (segment_file(3), segment_file(4), 4, "the ledger of 24 steps has 4 segments"),
        (segment_file(3), segment_file(9), 4, "the ledger of 24 steps has 4 segments"),
        (checkpoint_name(6), checkpoint_name(7), 6, "not a checkpoint of the schedule"),
        (checkpoint_name(6), checkpoint_name(30), 6, "not a checkpoint of the schedule"),
    ],
)
def test_a_file_that_no_proof_has_is_refused(
    proof_copy: Path, source: str, copy: str, stage: int, problem: str
) -> None:
    (shutil.copytree if (proof_copy / source).is_dir() else shutil.copy)(proof_copy / source, proof_copy / copy)
    refused(check(proof_copy), 2, copy, "is not in the inventory")
    take_stock(proof_copy)
    refused(check(proof_copy), stage, copy, problem)


@pytest.mark.parametrize("name", [checkpoint_name(7), "checkpoints/0000000006/nothing"])
def test_empty_directory(proof_copy: Path, name: str) -> None:
    """No inventory lists directories: an empty checkpoint is refused by the schedule, one in it means nothing."""
    (proof_copy / name).mkdir()
    report = check(proof_copy)
    if name == checkpoint_name(7):
        refused(report, 6, name, "not a checkpoint of the schedule")
    else:
        assert report


STRANGE = [
    b"evil.py",
    b"Records",
    b"commitment.json.tmp",
    b"journal",
    b"run.json",
    b"program/step.jax_export.bak",
    b"program/other.jax_export",
    b"ledger/0000000000.tmp",
    b"ledger/0000000000.parquet\n",
    b"ledger/000000000.parquet",
    "ledger/000000000٣.parquet".encode(),
    b"ledger/0000000004.parquet/file",
    b"checkpoints/0000000007.orbax-tmp/file",
    b"checkpoints/0000000006/a b",
    b"checkpoints/0000000006/\x1b[2J",
    b"checkpoints/0000000006/\xff\xfe",
    b"checkpoints/0000000006/\\..\\x",
    b"checkpoints/0000000006/" + b"x" * 129,
    b"checkpoints/0000000006/" + b"d/" * 8 + b"x",
    b"checkpoints/latest/x",
    b"...",
    b"..data/x",
    b" ",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_of_a_file_is_refused(proof_copy: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(proof_copy), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(os.fsdecode(path)).write_bytes(b"")
    report = check(proof_copy)
    refused(report, 1)
    shown = name.split(b"/")[-1].decode("ascii", "ignore")
    assert report.reasons[0].isprintable()
    assert shown.isprintable() is False or shown[:100] in report.reasons[0] or b"/" in name


def test_directories_without_end(proof_copy: Path) -> None:
    """Deeper than a recursion may go."""
    deep = proof_copy / "checkpoints" / "0000000006"
    folder = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    try:
        refused(check(proof_copy), 1, "checkpoints/0000000006/d/d")
    finally:
        subprocess.run(["rm", "-r", str(deep / "d")], check=True)  # too deep for pytest


@pytest.mark.parametrize("name", ["records", "commitment.json", "claim.json", INIT_FILE, segment_file(1), "ledger"])
@pytest.mark.parametrize("target", ["true", "dangling", "outside", "itself"])
def test_a_link_is_refused(proof_copy: Path, tmp_path: Path, name: str, target: str) -> None:
    path, copy = proof_copy / name, tmp_path / "copy"
    path.rename(copy)
    targets = {"true": copy, "dangling": tmp_path / "nothing", "outside": Path("/etc/passwd"), "itself": path}
    path.symlink_to(targets[target])
    refused(check(proof_copy), 1, name, "is no plain file")


def test_link_among_a_checkpoints_files(proof_copy: Path, tmp_path: Path) -> None:
    path = proof_copy / checkpoint_name(6) / "state"
    path.rename(tmp_path / "state")
    path.symlink_to(tmp_path / "state")
    refused(check(proof_copy), 1, f"{checkpoint_name(6)}/state", "is no plain file")


def test_hard_link_is_a_file_like_any_other(proof_copy: Path, tmp_path: Path) -> None:
    os.link(proof_copy / "records", tmp_path / "records")
    assert check(proof_copy)


@pytest.mark.parametrize("name", ["records", "claim.json", f"{checkpoint_name(6)}/pipe"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_blocks_a_reader(proof_copy: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (proof_copy / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(proof_copy / name)
    else:
        monkeypatch.chdir((proof_copy / name).parent)  # a socket's path has 108 bytes at most
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(Path(name).name)
    refused(check(proof_copy), 1, name, "is no plain file")


@pytest.mark.parametrize("name", ["records", "claim.json", "commitment.json", INIT_FILE, segment_file(0)])
def test_directory_in_place_of_a_file(proof_copy: Path, name: str) -> None:
    (proof_copy / name).unlink()
    (proof_copy / name).mkdir()
    refused(check(proof_copy), 1, name, "is no directory of a proof")


@pytest.mark.parametrize("name", ["program", "ledger", "checkpoints", checkpoint_name(6)])
def test_file_in_place_of_a_directory(proof_copy: Path, name: str) -> None:
    shutil.rmtree(proof_copy / name)
    (proof_copy / name).write_bytes(b"")
    refused(check(proof_copy), 1, name, "is no file of a proof")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["records", "claim.json", "ledger", "commitment.json"])
def test_a_file_that_can_t_be_read_is_refused(proof_copy: Path, name: str) -> None:
    (proof_copy / name).chmod(0)
    report = check(proof_copy)
    (proof_copy / name).chmod(0o700)
    refused(report, 1 if name == "ledger" else 2, name, "can't be read")


# --- sizes -------------------------------------------------------------------------------------------------------


LARGEST_FILE = 2**43
"""That a common file system has, with room to spare: less than a proof may have in all."""


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("commitment.json", Limits().document_bytes),
        ("claim.json", Limits().document_bytes),
        ("inventory.json", Limits().document_bytes),
        ("records", Limits().records_bytes),
        (STEP_FILE, Limits().program_bytes),
        (segment_file(1), Limits().segment_bytes),
        (f"{checkpoint_name(6)}/state/_METADATA", LARGEST_FILE),
    ],
)
def test_huge_file(proof_copy: Path, name: str, limit: int) -> None:
    """Sparse: it says that it has so many bytes, and takes none. Nothing of it may be read."""
    os.truncate(proof_copy / name, limit + 1)
    refused(
        check(proof_copy, Limits(total_bytes=LARGEST_FILE)),
        1,
        name,
        f"{limit + 1} bytes, more than the limit of {limit}",
    )


def test_many_files_of_a_fair_size(proof_copy: Path) -> None:
    sizes = [path.stat().st_size for path in proof_copy.rglob("*") if path.is_file()]
    assert check(proof_copy, Limits(total_bytes=sum(sizes)))
    refused(check(proof_copy, Limits(total_bytes=sum(sizes) - 1)), 1, "beyond the limits")


def test_more_files_than_the_limit_are_refused(proof_copy: Path) -> None:
    count = len(list(proof_copy.rglob("*")))
    assert check(proof_copy, Limits(files=count))
    refused(check(proof_copy, Limits(files=count - 1)), 1, "beyond the limits on the number of files")
