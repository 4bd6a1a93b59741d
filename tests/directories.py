"""What a directory holds, for tests that write one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def contents_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".partial")]


def flushes(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Return a list that gets what is flushed below ``root`` from now on, with all names that are there by then."""
    found: list[tuple[str, list[str]]] = []

    def fsync(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").readlink().relative_to(root)
        found.append((str(name), sorted(str(path.relative_to(root)) for path in root.rglob("*"))))

    monkeypatch.setattr(os, "fsync", fsync)
    return found
