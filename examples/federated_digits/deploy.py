"""Run the federation as a deployment on this machine: a SuperLink and a SuperNode for each worker, as processes.

    python deploy.py                      # prints the log of the server; ends everything when the run is over

In a true deployment each of these processes runs on a host of its own, with TLS (``--ssl-certfile``) and authenticated
SuperNodes; the commands are the same.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

WORKERS = 3
HERE = Path(__file__).resolve().parent


def main() -> int:
    """Start the processes, run the app, and return the exit status."""
    port, *nodes = free_ports(1 + WORKERS)
    with tempfile.TemporaryDirectory(prefix="federated-digits-") as home, ExitStack() as stack:
        variables = os.environ | {"FLWR_HOME": home, "FLWR_TELEMETRY_ENABLED": "0"}
        variables["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        (Path(home) / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
        )
        link = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]
        start(stack, [*link, "--disable-runtime-dependency-installation"], variables, Path(home) / "superlink.log")
        for worker, own in enumerate(nodes):
            node = ["flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{port}", "--port", str(own)]
            node += ["--node-config", f"partition-id={worker}"]
            start(stack, node, variables, Path(home) / f"supernode {worker}.log")
        wait_for(port)
        return subprocess.run(["flwr", "run", str(HERE), "here", "--stream"], env=variables, check=False).returncode


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def wait_for(port: int, seconds: float = 300) -> None:
    """Wait until somebody listens on a port; give up after some time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"nobody listens on port {port}")


def start(stack: ExitStack, command: list[str], variables: dict[str, str], log: Path) -> None:
    """Start a process that is ended with all that it started when the stack is left."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, start_new_session=True)
    stack.callback(process.wait)
    stack.callback(os.killpg, process.pid, 15)


if __name__ == "__main__":
    sys.exit(main())
