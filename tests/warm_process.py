"""Commands in real processes that need not import what others have: a server has imported it, and forks for each.

A process runs a command, writes, and is killed like any other. What is about the start of an interpreter, or about
threads that run before, is not tested with it. The sandbox's processes are forked too (`forked_children`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from forked import WARM

SERVER = f"""
import json, os, sys
{WARM}
import forked_children, pol_jax.cli.main, pol_jax.cli.train, pol_jax.cli.verify, pol_jax.sandbox.starting, tiny
pol_jax.sandbox.starting.subprocess = forked_children.STARTING
forked_children._server()
gc.freeze()
for line in sys.stdin:
    request = json.loads(line)
    pid = os.fork()
    if not pid:
        for descriptor, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
        sys.argv = ["pol", *request["arguments"]]
        pol_jax.cli.main.main()
        raise SystemExit
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, the negative signal that killed it; and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class WarmProcess:
    """The server, which runs one command at a time, and the folder for what commands say."""

    server: subprocess.Popen[bytes]
    folder: Path

    def run(self, *arguments: str | Path, kill_after: float | None = None) -> Ended:
        """Run a `pol` command in a process of its own; SIGKILL it after this many seconds, if it still runs then."""
        assert self.server.stdin is not None
        said = {name: self.folder / name for name in ("stdout", "stderr")}
        request = {"arguments": [*map(str, arguments)], **{name: str(path) for name, path in said.items()}}
        self.server.stdin.write(json.dumps(request).encode() + b"\n")
        pid = self._number()
        if kill_after is not None and not self._says_more(kill_after):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        return Ended(self._number(), *(path.read_text() for path in said.values()))

    def _number(self) -> int:
        assert self.server.stdout is not None
        assert self._says_more(300), "a command takes more than 300 s"
        return int(self.server.stdout.readline())

    def _says_more(self, seconds: float) -> bool:
        assert self.server.stdout is not None
        return bool(select.select([self.server.stdout], [], [], seconds)[0])


@contextmanager
def warm_process(folder: Path, environment: dict[str, str]) -> Iterator[WarmProcess]:
    """Start the server; it and all that it runs end with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        bufsize=0,  # a line that is buffered here can't be waited for
        start_new_session=True,
    ) as server:
        try:
            yield WarmProcess(server, folder)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
