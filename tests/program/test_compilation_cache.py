"""Compiled programs are kept between verifications: same bits, in the user's folder, no harm where they can't be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from places import TESTS

from pol_jax.program.compilation_cache import cache_settings, prune
from pol_jax.protocol.challenge import ListedSegments
from pol_jax.reports.report import Report, Verdict
from pol_jax.sandbox.verify import verify

NONCE = b"compiled"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a user who has set nothing of jax's."""
    for name in [name for name in os.environ if name.startswith("JAX_") and "CACHE" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def replay(path: Path) -> Report:
    return verify(path, tiny.plain().source, policy=ListedSegments((1,)), nonce=NONCE)


def kept(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in cache.rglob("*-cache")}


def test_cold_and_warm_give_the_same_report(plain_proof: Path, cache: Path) -> None:
    """Also with files that are cut, as a full disk leaves them; and no file is in the proof."""
    before = sorted(plain_proof.rglob("*"))
    cold = replay(plain_proof)
    files = kept(cache)
    assert cold.verdict is Verdict.ACCEPTED
    assert any(path.name.startswith("jit_call-") for path in files)
    assert (cache / "pol_jax" / "compiled").stat().st_mode & 0o777 == 0o700
    assert replay(plain_proof) == cold
    assert kept(cache) == files
    for path, size in files.items():
        os.truncate(path, size // 2)
    assert replay(plain_proof) == cold
    assert sorted(plain_proof.rglob("*")) == before


def test_full_disk_is_no_obstacle(plain_proof: Path, cache: Path) -> None:
    """As if: no file may be larger than 2 KiB."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048));"
        "from pol_jax.cli.main import main; main()"
    )
    arguments = ["verify", str(plain_proof), "--task", "tiny:plain", "--segments", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert max(kept(cache).values()) <= 2048


def test_folder_that_can_t_be_made_is_no_obstacle(
    plain_proof: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file")
    assert cache_settings() == {}
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache / "in a file"))
    assert replay(plain_proof).verdict is Verdict.ACCEPTED


def test_folder_that_others_write_to_is_not_used(cache: Path) -> None:
    assert cache_settings()["JAX_COMPILATION_CACHE_DIR"].startswith(str(cache))
    (cache / "pol_jax" / "compiled").chmod(0o770)
    assert cache_settings() == {}


def test_user_moves_it_or_switches_it_off(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_settings()["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "mine")
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "False")
    assert cache_settings() == {}
    assert not cache.exists()


def test_oldest_are_removed_first(tmp_path: Path) -> None:
    for age, name in enumerate("abcd"):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    prune(tmp_path, 40)
    assert len(list(tmp_path.iterdir())) == 4
    prune(tmp_path, 39)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
