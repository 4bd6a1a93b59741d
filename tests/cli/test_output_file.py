"""What commands write is new, whole, and outside of proofs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pol_jax.attesting.folder import DIRECTORY
from pol_jax.cli.output_file import check_new, check_writable, new_directory, proof_around, write_new
from pol_jax.errors import StorageError, UsageError


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """A directory that looks like a proof's."""
    root = tmp_path / "proof"
    for folder in ("program", DIRECTORY, "records"):
        (root / folder).mkdir(parents=True)
    (root / "commitment.json").touch()
    return root


def test_the_proof_around_an_attestation_is_found(proof: Path, tmp_path: Path) -> None:
    assert proof_around(proof / DIRECTORY / "claim.dsse.json") == proof
    assert proof_around(proof / "records" / "claim.dsse.json") is None
    (tmp_path / DIRECTORY).mkdir()
    assert proof_around(tmp_path / DIRECTORY / "claim.dsse.json") is None


def test_nothing_but_attestations_is_written_in_a_proof(proof: Path, tmp_path: Path) -> None:
    check_new(tmp_path / "out")
    check_new(proof / DIRECTORY / "new", attestation=True)
    for path, attestation in (
        (proof / DIRECTORY / "new", False),
        (proof / "new", True),
        (proof / "records" / "deep" / "new", True),
    ):
        with pytest.raises(UsageError, match="lies in the directory of a proof"):
            check_new(path, attestation=attestation)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(UsageError, match="exists already"):
            write_new(tmp_path / name, b"x")
    write_new(tmp_path / "new", b"x")
    assert (tmp_path / "new").read_bytes() == b"x"
    with pytest.raises(StorageError, match="can't be written"):
        write_new(tmp_path / "there" / "new", b"x")


def test_a_file_is_tried_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"as it was")
    check_writable(tmp_path / "there")
    check_writable(tmp_path / "new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"there": b"as it was"}
    for wrong in (tmp_path, tmp_path / "no folder" / "new"):
        with pytest.raises(StorageError, match="can't be written"):
            check_writable(wrong)


def test_a_directory_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with new_directory(tmp_path / "deep" / "out") as partial:
        (partial / "file").touch()
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "file").exists()
    with pytest.raises(ZeroDivisionError), new_directory(tmp_path / "other"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't be written"), new_directory(tmp_path / "file" / "out"):
        pass
