"""Processes that need not import what others have: a server has imported it, and forks for each that is asked for.

A process computes, writes, and is killed like any other. What is about the start of an interpreter, or about threads
that run before, is not tested with it.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import once
import stored_programs

IMPORTS = "flax, jax.export, optax, orbax.checkpoint, pol_jax.proving.recording, pyarrow.parquet, scipy.linalg"
"""What a run imports: half of these when it starts, the others when it first needs them."""

WARM = f"""
import gc
gc.disable()
import {IMPORTS}
import forked
forked.read_programs()
gc.enable()
"""
"""What a server begins with. Before it forks, it freezes what it has: nobody looks for garbage in that."""

_PATIENCE = 600
"""Seconds, in which a machine that has other work imports all this too. Nobody waits for a server that has died."""

_SERVER = f"""
import importlib, json, os, sys
if os.fork():
    os._exit(0)
{WARM}
for line in sys.stdin:
    calls = json.loads(line)
    functions = [getattr(importlib.import_module(call["module"]), call["function"]) for call in calls]
    gc.freeze()
    processes = []
    for call, function in zip(calls, functions):
        processes.append(os.fork())
        if not processes[-1]:
            for descriptor, path in ((0, os.devnull), (1, call["stdout"]), (2, call["stderr"])):
                os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
            os.environ.update(call["variables"])
            function(call["argument"])
            os._exit(0)
    print(*processes, flush=True)
    for _ in processes:
        print(os.wait()[0], flush=True)
"""


def read_programs() -> None:
    """Let this process, and those it forks, read from files what others have exported or audited, as tests do (`once`).

    Each process loads and audits a program once, too.
    """
    stored_programs.folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    for name, function in once.PROGRAMS.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, function)


class Forked:
    """Processes that were forked together."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path, calls: Sequence[Mapping[str, Any]]) -> None:
        self._server, self._folder, self._ended = server, folder, set[int]()
        said = [{name: str(folder / f"{name} {at}") for name in ("stdout", "stderr")} for at in range(len(calls))]
        assert server.stdin is not None
        server.stdin.write(json.dumps([{**call, **each} for call, each in zip(calls, said, strict=True)]).encode())
        server.stdin.write(b"\n")
        self.pids = self._numbers(_PATIENCE)

    def output(self, number: int, seconds: float) -> tuple[str, str]:
        """Wait for the end of one of them, and return what it wrote to stdout and to stderr."""
        while self.pids[number] not in self._ended:
            self._ended.update(self._numbers(seconds))
        stdout, stderr = ((self._folder / f"{name} {number}").read_text() for name in ("stdout", "stderr"))
        return stdout, stderr

    def kill(self) -> None:
        """Kill those that still run."""
        for pid in self.pids:
            if pid not in self._ended:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
        while not self._ended.issuperset(self.pids):
            self._ended.update(self._numbers(_PATIENCE))

    def _numbers(self, seconds: float) -> list[int]:
        assert self._server.stdout is not None
        assert select.select([self._server.stdout], [], [], seconds)[0], f"no process has ended within {seconds} s"
        line = self._server.stdout.readline()
        assert line, "the server has died"
        return [int(each) for each in line.split()]


@contextmanager
def forked(
    module: str, function: str, arguments: Sequence[Any], variables: Mapping[str, str] | None = None
) -> Iterator[Forked]:
    """Call a function with each of some arguments, each in a process of its own; all are killed in the end.

    Args:
        module: where the function is.
        function: its name.
        arguments: JSON.
        variables: of the environment, beside those of this process when it first asked.
    """
    call = {"module": module, "function": function, "variables": dict(variables or {})}
    with tempfile.TemporaryDirectory() as folder:
        processes = Forked(_server(), Path(folder), [{**call, "argument": each} for each in arguments])
        try:
            yield processes
        finally:
            processes.kill()


@cache
def _server() -> subprocess.Popen[bytes]:
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "cpu"}
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=settings,
        bufsize=0,  # a line that is buffered here can't be waited for
    )
    # It has left: other tests look at the children of this process. It ends when nobody can write to it any more.
    assert server.wait(_PATIENCE) == 0
    atexit.register(server.__exit__, None, None, None)
    return server
