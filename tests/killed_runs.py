"""Runs that are killed before any of their writes, and go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from pol_jax.proving import aim, commit, finishing, recorder
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.storage import journal
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.storage.proof import open_proof

STEPS, CHOICES = 12, Choices(interval=6, seed="resume")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the package catches it."""


class Countdown:
    """Raises `Killed` before the n-th write to the disk, and before any later one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.left = most
        for owner, name in (
            (commit, "write_whole"),
            (finishing, "write_whole"),
            (aim, "write_whole"),
            (CheckpointWriter, "save"),
            (recorder, "seal"),
            (recorder, "remove_checkpoint"),
            (journal.Journal, "append"),
            (journal.Journal, "clear"),
            (recorder.Recorder, "remove_journal"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return function(*args, **kwargs)

        return counted


def claim_of(path: Path) -> bytes:
    claim = open_proof(path).claim
    assert claim is not None
    return claim.digest()


def resume(path: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {"steps": STEPS, "choices": CHOICES} | changes
    train(tiny.plain(), path, **arguments)


def writes_of_a_run(tmp_path: Path) -> int:
    with pytest.MonkeyPatch.context() as monkeypatch:
        countdown = Countdown(monkeypatch, 10**6)
        resume(tmp_path / "counted")
        return 10**6 - countdown.left


def interrupted(path: Path, writes: int = 20, **changes: Any) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        Countdown(monkeypatch, writes)
        with pytest.raises(Killed):
            resume(path, **changes)


THIN: dict[str, Any] = {"steps": 9, "keep_every": 2, "choices": Choices(interval=2, seed="thin")}


KEPT = [0, 4, 8, 9]
