"""Parts of the benchmark run in processes of their own, so that nothing of another part is in memory."""

from __future__ import annotations

import os
import subprocess
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
