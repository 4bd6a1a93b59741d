"""Children of verifications that try what they may do, and a cache of programs that nobody has used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from confined_child import Trying

from pol_jax.sandbox import starting
from pol_jax.sandbox.process import Process


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[psutil.Process]:
    """The processes that read proofs in verifications, in the order in which they were started."""
    started = list[psutil.Process]()

    @contextmanager
    def noted(*arguments: Any, **options: Any) -> Iterator[Process]:
        with starting.child_process(*arguments, **options) as process:
            started.append(psutil.Process(process.popen.pid))
            yield process

    monkeypatch.setattr("pol_jax.sandbox.apart.child_process", noted)
    return started


@pytest.fixture
def groups() -> list[int]:
    """The process groups of the children that were started, in order."""
    return []


@pytest.fixture
def trying(plain_proof: Path, monkeypatch: pytest.MonkeyPatch, groups: list[int]) -> Trying:
    """Start a child as a verification does; in place of its work it tries what it is told to: errors by attempt."""

    def attempt(*attempts: str, before: str = "", processes: bool = False, loopback: bool = False) -> dict[str, str]:
        code = (
            f"import json, os, signal, socket, tempfile\nfound = {{}}\nfor each in {attempts!r}:\n"
            "    try:\n        exec(each)\n        found[each] = ''\n"
            "    except OSError as error:\n        found[each] = type(error).__name__\n"
            "print(json.dumps([found, unrestricted]))\nraise SystemExit\n"
        )
        start = before + starting._CODE.replace("from pol_jax.garbage", code + "from pol_jax.garbage")
        monkeypatch.setattr(starting, "_CODE", start)
        with starting.child_process([str(plain_proof)], True, processes=processes, loopback=loopback) as child:
            child.popen.wait(300)
            child.output.seek(0)
            found, unrestricted = json.loads(child.output.read().decode().splitlines()[-1])
            groups.append(child.popen.pid)
        return {**found, "unrestricted": ", ".join(unrestricted)}

    return attempt
