"""Damage to the files of a proof's directory, and the verification of what is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
from forge import Forger
from hypothesis import strategies as st
from unsandboxed import verify

from pol_jax.program.artifact import STEP_FILE
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report

SOURCE = tiny.plain().source


def check(root: Path, limits: Limits | None = None) -> Report:
    """Verify a proof of `tiny.plain`."""
    return verify(root, SOURCE, policy=AllSegments(), nonce=b"n", limits=limits or Limits())


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Wound:
    """A change of some bytes of a file; places are shares of the file."""

    kind: str
    place: float
    source: float
    value: int
    length: int
    bit: int

    def __call__(self, content: bytes) -> bytes:
        """The content with this change."""
        at, copied = int(self.place * len(content)), int(self.source * len(content))
        middle = content[at : at + 1]
        new = {
            "flip": bytes(byte ^ 1 << self.bit for byte in middle),
            "set": bytes([self.value]),
            "insert": bytes([self.value]) + middle,
            "delete": b"",
            "cut": b"",
            "copy": content[copied : copied + self.length],
        }
        lost = {"cut": len(content), "copy": self.length}.get(self.kind, 1)
        return content[:at] + new[self.kind] + content[at + lost :]


SHARE = st.integers(0, 2**24 - 1).map(lambda number: number / 2**24)


WOUNDS = st.builds(
    Wound,
    kind=st.sampled_from(["flip", "set", "insert", "delete", "cut", "copy"]),
    place=SHARE,
    source=SHARE,
    value=st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255),
    length=st.integers(1, 16),
    bit=st.integers(0, 7),
)


class Damaged:
    """A file with other bytes, until the end of the block."""

    def __init__(self, root: Path, name: str, new: bytes) -> None:
        self._path, self._new = root / name, new

    def __enter__(self) -> None:
        self._old = self._path.read_bytes()
        self._path.write_bytes(self._new)

    def __exit__(self, *_: object) -> None:
        self._path.write_bytes(self._old)


def stage_of(name: str) -> int:
    """The stage that reads a file's meaning."""
    stages = {"claim.json": 2, "commitment.json": 3, "records": 3, "program": 3, "ledger": 4, "checkpoints": 6}
    return stages[name.split("/")[0]]


def damage_programs(root: Path) -> None:
    """Commit to damaged step programs, one after the other; each is refused. Runs in a process of its own."""
    content, seeds = (root / STEP_FILE).read_bytes(), range(25)
    for seed in seeds:
        print("seed", seed, flush=True)
        at = (seed * 7919 * 31) % len(content)
        forger = Forger(root)
        forger.commit_to_step_program(content[:at] + bytes([content[at] ^ 1 << seed % 8]) + content[at + 1 :])
        forger.write_documents()
        report = check(root)
        assert report.verdict is Verdict.REJECTED, (seed, report.reasons)
        (root / STEP_FILE).write_bytes(content)
    print("done", flush=True)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    """Set a field."""

    def change(plain: Any) -> None:
        for name in path[:-1]:
            plain = plain[name]
        plain[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Any], None]:
    """Remove a field."""

    def change(plain: Any) -> None:
        for name in path[:-1]:
            plain = plain[name]
        del plain[path[-1]]

    return change
