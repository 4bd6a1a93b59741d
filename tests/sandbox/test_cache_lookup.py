"""A second folder is looked into, and never written, where jax's own has no such program."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pol_jax.sandbox.cache_lookup import READ_ALSO, read_also

LRUCache = pytest.importorskip("jax._src.lru_cache", reason="this jax keeps its programs in another way").LRUCache


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What jax's own folder has; what the test does to jax is undone."""
    programs = {"own": b"of jax"}
    monkeypatch.setattr(LRUCache, "get", lambda _, key: programs.get(key))
    return programs


def look_up(key: str) -> Any:
    return LRUCache.get(SimpleNamespace(), key)  # it asks for nothing of the cache


def test_a_program_is_found_in_either_folder(
    known: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs-cache").write_bytes(b"of the user")
    (tmp_path / "own-cache").write_bytes(b"of the user")
    monkeypatch.setenv(READ_ALSO, str(tmp_path))
    read_also()
    assert [look_up(key) for key in ("own", "theirs", "nobody's")] == [known["own"], b"of the user", None]
    assert {path.name for path in tmp_path.iterdir()} == {"theirs-cache", "own-cache"}


def test_without_a_second_folder_jax_is_left_alone(known: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    before = LRUCache.get
    monkeypatch.delenv(READ_ALSO, raising=False)
    read_also()
    assert LRUCache.get is before
    assert look_up("own") == known["own"]


def test_a_jax_that_keeps_programs_otherwise_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READ_ALSO, str(tmp_path))
    monkeypatch.setattr("jax._src.lru_cache.LRUCache", SimpleNamespace())
    read_also()
