"""The example runs as its README says: as a simulation, and as a deployment with processes on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import TESTS

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

EXAMPLE = TESTS.parent / "examples" / "federated_digits"


@pytest.mark.parametrize("script", ["federated_digits.py", "deploy.py"])
def test_who_sends_noise_is_left_out(script: str, tmp_path: Path) -> None:
    variables = os.environ | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),  # the data of digits
        "PYTHONPATH": str(TESTS.parent),
        "TMPDIR": str(tmp_path),
        "RAY_TMPDIR": "/tmp",  # noqa: S108  # a path of its sockets has at most 107 bytes
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, str(EXAMPLE / script)]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = re.findall(r"round (\d), worker (\d): (\w+) \((\d+) of 20 steps replayed\): (.*)", done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [(line[0], line[1], line[2]) for line in said] == [
        (round, worker, "rejected" if worker == "2" else "accepted") for round in "12" for worker in "012"
    ]
    assert all(int(line[3]) <= 5 for line in said)
    assert all("is not that of the model at hand" in line[4] for line in said if line[1] == "2")
