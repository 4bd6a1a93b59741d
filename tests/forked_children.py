"""The sandbox's processes, forked from a server that has imported what they import: an interpreter starts for seconds.

Each is a process of its own, confined, limited and killed like any other, and sees the environment that it is given.
What is about the start itself (``@pytest.mark.started``), or has settings of jax that the server began without, gets a
new interpreter.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

_DECIDES = re.compile(r"(JAX|XLA|TF|OMP|MKL|OPENBLAS|EIGEN|PYTHON|NPROC|LD|MALLOC|GLIBC|TENSORSTORE|COVERAGE)")
"""Variables that begin so are read when something is imported."""

_CACHE = {
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_DIR_READ_ALSO",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES",
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS",
}
"""Variables of jax that may be set later, as its settings; each process has a cache of its own."""

_PATIENCE = 600
"""Seconds, in which a busy machine imports all this too."""


class ForkedPopen(subprocess.Popen[bytes]):
    """In place of `subprocess.Popen`: a process that the server forked. Its end is read from a pipe."""

    def __init__(self, request: Mapping[str, Any], handle: int, output: int) -> None:
        ended, end = os.pipe()
        socket.send_fds(_server(), [json.dumps(request).encode()], [handle, output, end])
        os.close(end)
        self.args, self.returncode, self._ended = request["arguments"], None, ended
        self.pid = int(self._line(_PATIENCE) or 0)
        assert self.pid, "the server has died"

    def poll(self) -> int | None:
        if self.returncode is None and (line := self._line(0)) is not None:
            self.returncode = int(line or -signal.SIGKILL)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(line or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and the server has not said so yet
                os.kill(self.pid, number)

    def __del__(self) -> None:
        os.close(self._ended)

    def _line(self, seconds: float | None) -> bytes | None:
        """Return the next line about the process, without its end; None if there is none yet, empty at the end."""
        if not select.select([self._ended], [], [], seconds)[0]:
            return None
        line = b""
        while (byte := os.read(self._ended, 1)) not in {b"\n", b""}:
            line += byte
        return line


def popen(arguments: Sequence[str], *, env: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start what `pol_jax.sandbox.starting` starts: by a fork, unless the server has begun with other settings."""
    python, *flags, code = arguments[:4]
    if python != sys.executable or flags != ["-P", "-c"] or _settings(env) != _settings(_begun_with()):
        return subprocess.Popen(arguments, env=env, **options)
    (handle,) = options["pass_fds"]
    # The numbers of the pipe and of the starter are others there.
    request = {"code": code, "arguments": arguments[6:], "environment": dict(env)}
    own_group = options["process_group"] == 0
    return ForkedPopen(request | {"own_group": own_group}, handle, options["stdout"].fileno())


STARTING = SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL)
"""In place of the module `subprocess` in `pol_jax.sandbox.starting`."""


@contextmanager
def forking() -> Iterator[None]:
    """Fork the sandbox's processes in this block: for fixtures, which come before that of a test."""
    with patch("pol_jax.sandbox.starting.subprocess", STARTING):
        yield


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _DECIDES.match(name) and name not in _CACHE}


@cache
def _begun_with() -> dict[str, str]:
    from pol_jax.sandbox.starting import _module_paths
    from pol_jax.sandbox.variables import visible_variables

    return visible_variables() | {"PYTHONPATH": os.pathsep.join(_module_paths())}


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import forked_children as f; f.serve()"
    server = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        env=_begun_with(),
        cwd="/",
    )
    theirs.close()
    # It has left: other tests look at the children of this process. It ends when nobody can write to it any more.
    assert server.wait(_PATIENCE) == 0
    atexit.register(ours.close)
    return ours


def serve() -> None:
    """Fork for each request on the inherited socket, until nobody can ask any more."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    if os.fork():
        os._exit(0)
    sys.path.pop(0)
    gc.disable()
    import tarfile  # noqa: F401

    import jax.export  # noqa: F401
    import jaxlib.mlir.dialects.mhlo  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.linalg  # noqa: F401

    import pol_jax.sandbox.child
    import pol_jax.sandbox.reading  # noqa: F401

    gc.freeze()
    gc.enable()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    told = dict[int, int]()
    while True:
        ready, _, _ = select.select([asked.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _reap(told)
        if asked.fileno() in ready:
            content, handles, _, _ = socket.recv_fds(asked, 2**20, 3)
            if not content:
                os._exit(0)
            _fork(json.loads(content), handles, told, [asked.fileno(), wake, woken])


def _reap(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        handle = told.pop(pid)
        os.write(handle, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(handle)


def _fork(request: dict[str, Any], handles: list[int], told: dict[int, int], ours: list[int]) -> None:
    pipe, output, end = handles
    server, pid = os.getpid(), os.fork()
    if pid:
        os.write(end, f"{pid}\n".encode())
        told[pid] = end
        os.close(pipe)
        os.close(output)
        return
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for handle in [end, *ours, *told.values()]:
            os.close(handle)
        if request["own_group"]:
            os.setpgid(0, 0)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
        _set(request["environment"])
        # The server stands for the process that asked: it ends with it.
        sys.argv = ["-c", str(pipe), str(server), *request["arguments"]]
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102  # the code of `pol_jax.sandbox`
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except BaseException:  # noqa: BLE001  # told, like any last line of a process
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _set(environment: dict[str, str]) -> None:
    """Give this process an environment, and jax the settings of its cache."""
    import jax

    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for name in _CACHE - {"JAX_COMPILATION_CACHE_DIR_READ_ALSO"}:
        setting = name.lower()
        kind = type(getattr(jax.config, setting))
        if name in environment:
            value: Any = environment[name]
            if kind is bool:
                value = value.lower() in {"1", "true", "yes", "on"}
            elif kind in {int, float}:
                value = kind(value)
            jax.config.update(setting, value)
        elif name == "JAX_COMPILATION_CACHE_DIR":
            jax.config.update(setting, None)
