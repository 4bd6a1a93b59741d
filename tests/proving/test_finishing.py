"""A claim is written once, after the last step, and what was written is read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from killed_runs import claim_of, resume

from pol_jax.errors import DivergenceError, StorageError
from pol_jax.protocol import claim as claims
from pol_jax.proving.finishing import finish
from pol_jax.proving.recorder import Recorder
from pol_jax.storage.proof import open_proof

CONSTANT_BYTES = 2**20


class Recorded(Recorder):
    """What a recorder knows after the last step of a proof."""

    def __init__(self, root: Path) -> None:
        rows = list(open_proof(root).rows())
        self.digests, self.last_state = [row.digest() for row in rows], rows[-1].state
        self.removed = False

    def remove_journal(self) -> None:
        """Note that it was called."""
        self.removed = True


@pytest.fixture
def unclaimed(uninterrupted: Path, tmp_path: Path) -> Path:
    """A run whose steps are all done, and which has neither claim nor inventory."""
    path = Path(shutil.copytree(uninterrupted, tmp_path / "proof"))
    for name in ("claim.json", "inventory.json"):
        (path / name).unlink()
    return path


def test_the_claim_is_that_of_the_rows(uninterrupted: Path, unclaimed: Path) -> None:
    recorder = Recorded(unclaimed)
    finish(unclaimed, open_proof(unclaimed).commitment, recorder, CONSTANT_BYTES, ())
    assert recorder.removed
    for name in ("claim.json", "inventory.json"):
        assert (unclaimed / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_a_claim_is_never_replaced_by_another_one(uninterrupted: Path, unclaimed: Path) -> None:
    claim = open_proof(uninterrupted).finished().claim
    other = msgspec.structs.replace(claim, ledger_root="0" * 64).encode()
    (unclaimed / claims.FILE).write_bytes(other)
    with pytest.raises(DivergenceError, match="the existing claim is not that of the ledger"):
        finish(unclaimed, open_proof(unclaimed).commitment, Recorded(unclaimed), CONSTANT_BYTES, ())
    assert (unclaimed / claims.FILE).read_bytes() == other


def test_what_can_not_be_read_back_is_no_proof(unclaimed: Path) -> None:
    (unclaimed / "records").write_bytes(b"")
    with pytest.raises(StorageError, match="what was written can't be read back: records"):
        finish(unclaimed, open_proof(unclaimed).commitment, Recorded(unclaimed), CONSTANT_BYTES, ())
    assert not (unclaimed / "inventory.json").exists()


def test_claim_that_is_there_keeps_its_environment(
    uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the inventory: no step runs again, so the backend of the second try is of no interest."""
    path = Path(shutil.copytree(uninterrupted, tmp_path / "proof"))
    (path / "inventory.json").unlink()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    resume(path)
    assert claim_of(path) == claim_of(uninterrupted)
