"""`pol train` on real disks and under real kills."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import TESTS
from warm_process import WarmProcess, warm_process

from pol_jax.storage.proof import open_proof


def claim_of(path: Path) -> bytes:
    claim = open_proof(path).claim
    assert claim is not None
    return claim.digest()


LONG, INTERVAL = 300, 10


def pol(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pol_jax.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, **options)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(TESTS), "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmProcess]:
    """Runs commands in processes of their own that don't import everything again."""
    with warm_process(tmp_path_factory.mktemp("said"), environment()) as process:
        yield process


def train_arguments(out: Path) -> list[str]:
    """Two runs have the same claim: what a measurement would choose, is chosen here."""
    sizes = {"--steps": LONG, "--interval": INTERVAL, "--witness-interval": 1}
    return ["train", "tiny:plain", "--out", str(out), *(str(each) for option in sizes.items() for each in option)]


@pytest.mark.parametrize(("most", "keep_every"), [(10, 1), (4, 4)])
def test_killed_ten_times_ends_with_the_same_claim(
    warm: WarmProcess, tmp_path: Path, most: int, keep_every: int
) -> None:
    """SIGKILL at random moments of one run: while it starts, trains, writes, removes what it does not keep."""
    moments, kills = random.Random(20260601), 0
    killed, once = ([*train_arguments(tmp_path / name), "--keep-every", f"{keep_every}"] for name in ("killed", "once"))
    while kills < most:
        ended = warm.run(*killed, kill_after=moments.uniform(0.05, 1.2))
        assert ended.returncode in (-signal.SIGKILL, 0), ended.stderr
        kills += 1
        if ended.returncode == 0:
            shutil.rmtree(tmp_path / "killed")
    for finished in (warm.run(*killed), warm.run(*once)):
        assert finished.returncode == 0, finished.stderr
    assert claim_of(tmp_path / "killed") == claim_of(tmp_path / "once")
    for name in ("killed", "once"):
        assert open_proof(tmp_path / name).checkpoints() == [*range(0, LONG, INTERVAL * keep_every), LONG]
    assert warm.run("verify", tmp_path / "killed", "--task", "tiny:plain").returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 700 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_full_disk_is_one_line_and_what_is_there_stays_usable(warm: WarmProcess, small_disk: Path) -> None:
    out = small_disk / "proof"
    full = pol(*train_arguments(out))
    assert full.returncode == 2
    assert len(full.stderr.strip().splitlines()) == 1, full.stderr
    assert "No space left on device" in full.stderr
    assert warm.run("inspect", out).returncode == 0
    remount(small_disk, "size=50m")
    assert warm.run(*train_arguments(out)).returncode == 0
    assert warm.run("verify", out, "--task", "tiny:plain", "--segments", "0,29").returncode == 0


def test_read_only_directory_is_one_line(small_disk: Path) -> None:
    remount(small_disk, "ro")
    refused = pol(*train_arguments(small_disk / "proof"))
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines() == [refused.stderr.strip()]
    assert "Read-only file system" in refused.stderr
