"""The child can't use more memory, files or processes than its bounds say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from pol_jax.reports.outcomes import Verdict
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify

pytestmark = pytest.mark.started


def test_memory_of_the_child_is_bounded(plain_proof: Path) -> None:
    """With less memory than jax needs there is no verdict, and one line says why."""
    report = verify(plain_proof, tiny.plain().source, bounds=Bounds(memory_bytes=2**27))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "memory" in report.reasons[0]


def test_child_writes_no_large_files(tmp_path: Path) -> None:
    code = "from pol_jax.sandbox.bounds import limit_resources; limit_resources()\n"
    code += "open('large', 'wb').truncate(2**28 + 1)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="counts tasks of a user as Linux does")
def test_a_user_s_child_starts_no_flood_of_processes() -> None:
    """Whoever runs the tests as root becomes somebody else first: nothing bounds root."""
    code = """
import os, resource, signal, sys
from pol_jax.sandbox import bounds
bounds.MORE_TASKS = 20
if os.getuid() == 0:
    os.setresuid(54321, 54321, 54321)
bounds.limit_resources()
children = []
try:
    while len(children) < 200:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except BlockingIOError:
    print(len(children))
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 10 <= int(done.stdout) <= 21, done.stderr
