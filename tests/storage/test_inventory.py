"""The inventory is that of the files, whose names follow a grammar."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import second_implementation as second

from pol_jax.errors import ProofError
from pol_jax.program.artifact import INIT_FILE
from pol_jax.protocol.inventory import FILE
from pol_jax.protocol.limits import Limits
from pol_jax.storage.inventory import check_inventory, list_files, read_bounded, take_inventory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    root = tmp_path / "proof"
    folders = "ledger/0000000000.parquet", "checkpoints/0000000000/state/d/a"
    for name in ("commitment.json", "records", INIT_FILE, *folders):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_an_inventory_is_that_of_its_files(directory: Path) -> None:
    (directory / FILE).write_bytes(take_inventory(directory, Limits()))
    content = read_bounded(directory, FILE, Limits())
    check_inventory(directory, content, list_files(directory, Limits()))
    entries = json.loads(content)["files"]
    for name, entry in entries.items():
        expected = second.digest("file", (directory / name).read_bytes()).hex()
        assert entry == {"digest": expected, "size": len(name)}
    (directory / "records").write_bytes(b"recordz")
    with pytest.raises(ProofError, match=r"^records: "):
        check_inventory(directory, content, list_files(directory, Limits()))
    (directory / "records").unlink()
    with pytest.raises(ProofError, match=r"^records: is missing"):
        check_inventory(directory, content, list_files(directory, Limits()))


@pytest.mark.parametrize(
    "name",
    [
        "extra",
        "claim.json.tmp",
        "Claim.json",
        "claim.json\n",
        "journal",
        "program/other.jax_export",
        "ledger/000000000.parquet",
        "ledger/00000000000.parquet",
        "ledger/\uff10000000000.parquet",
        "ledger/0000000000.parquet/x",
        "checkpoints/0000000001",
        "checkpoints/0000000000/a b",
        "checkpoints/0000000000/é",
        "checkpoints/0000000000/" + "x" * 129,
        "checkpoints/0000000000/" + "/".join("abcdefghi"),
        "\x1b[2J",
    ],
)
def test_names_outside_the_grammar_are_refused(directory: Path, name: str) -> None:
    path = directory / name
    if "parquet/" in name:
        (directory / "ledger/0000000000.parquet").unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(ProofError) as refusal:
        list_files(directory, Limits())
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "name", ["empty", "ledger/x", "checkpoints/0000000000/é", "checkpoints/" + "\u0660" * 10, "a/b/c"]
)
def test_directories_outside_the_grammar_are_refused(directory: Path, name: str) -> None:
    (directory / name).mkdir(parents=True)
    with pytest.raises(ProofError, match="directory"):
        list_files(directory, Limits())


def test_links_and_pipes_are_refused(directory: Path) -> None:
    target = directory / "claim.json"
    target.symlink_to(directory / "records")
    with pytest.raises(ProofError, match="no plain file"):
        list_files(directory, Limits())
    with pytest.raises(ProofError, match="can't be read"):
        read_bounded(directory, "claim.json", Limits())
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(ProofError, match="no plain file"):
        list_files(directory, Limits())
    with pytest.raises(ProofError, match="no plain file"):  # and doesn't wait for a writer
        read_bounded(directory, "claim.json", Limits())
    target.unlink()
    target.mkdir()
    with pytest.raises(ProofError, match="can't be read"):
        read_bounded(directory, "claim.json", Limits())


def test_limits_are_the_verifiers(directory: Path) -> None:
    tight = [Limits(document_bytes=3), Limits(files=4), Limits(total_bytes=20), Limits(records_bytes=3)]
    for limits in tight:
        with pytest.raises(ProofError, match="limit"):
            list_files(directory, limits)
    with pytest.raises(ProofError, match="more than 3 bytes"):
        read_bounded(directory, "records", Limits(records_bytes=3))
    assert read_bounded(directory, "records", Limits(records_bytes=7)) == b"records"
