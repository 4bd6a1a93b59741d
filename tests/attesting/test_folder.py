"""The files of `attestations`: five names, plain files within limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pol_jax.attesting.folder import DIRECTORY, LARGEST, Attestations, attestation_path, read_attestations
from pol_jax.errors import ProofError


def test_what_is_there_is_read_and_nothing_else(tmp_path: Path) -> None:
    assert read_attestations(tmp_path) == Attestations()
    (tmp_path / DIRECTORY).mkdir()
    for at, name in enumerate(LARGEST):
        attestation_path(tmp_path, name).write_bytes(bytes([at]))
    (tmp_path / DIRECTORY / "of-others.json").mkdir()
    assert read_attestations(tmp_path) == Attestations(*(bytes([at]) for at in range(5)))


def test_links_pipes_and_large_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir()
    for name, most in LARGEST.items():
        path = attestation_path(tmp_path, name)
        path.symlink_to("/etc/passwd")
        with pytest.raises(ProofError, match=name):
            read_attestations(tmp_path)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(ProofError, match="no plain file"):
            read_attestations(tmp_path)
        path.unlink()
        with path.open("wb") as file:
            file.truncate(most + 1)
        with pytest.raises(ProofError, match=f"more than {most} bytes"):
            read_attestations(tmp_path)
        path.unlink()


def test_a_folder_that_is_a_link_lies_beside_the_proof(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "claim.dsse.json").write_bytes(b"{}")
    (tmp_path / DIRECTORY).symlink_to(tmp_path / "elsewhere")
    assert read_attestations(tmp_path) == Attestations()
