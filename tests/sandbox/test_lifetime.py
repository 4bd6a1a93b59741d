"""A process of ours ends when the one that started it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from places import TESTS

from pol_jax.sandbox import lifetime

pytestmark = pytest.mark.started


class Ended(Exception):
    """Stands for the end of this process."""


def test_a_process_ends_once_it_has_another_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    parents, slept = iter([7, 7, 1]), list[float]()

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr("os.getppid", lambda: next(parents))
    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(Ended, match="1"):
        lifetime._exit_with(7)
    assert len(slept) == 2


def test_child_ends_with_its_caller(plain_proof: Path) -> None:
    """A caller that is killed leaves nothing behind that burns a processor."""
    code = (
        "import os, sys, tiny; from pol_jax import verify; from pol_jax.progress import Silent\n"
        "class Slow(Silent):\n"
        "    def stage(self, number):\n"
        "        import psutil, time; print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)\n"
        "verify(sys.argv[1], tiny.plain().source, progress=Slow())"
    )
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", code, str(plain_proof)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as caller:
        assert caller.stdout is not None
        child = psutil.Process(int(caller.stdout.readline()))
        caller.kill()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive
