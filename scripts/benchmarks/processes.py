"""Parts of the benchmark run in processes of their own, so that nothing of another part is in memory."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

SCRIPTS = Path(__file__).parents[1]


def output_of(*command: str) -> str:
    """Run a command, to which the modules of this folder's parent are importable, and return what it prints.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    paths = os.pathsep.join(filter(None, (str(SCRIPTS), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def reset_peak() -> None:
    """Begin to note the peak memory of this process anew; where the system can't, nothing is noted."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the peak memory of this process alone; getrusage may give the peak of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
