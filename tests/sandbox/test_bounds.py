"""Bounds on what the child may use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tiny

from pol_jax.reports.outcomes import Verdict
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify


def test_memory_of_the_child_is_bounded(plain_proof: Path) -> None:
    """With less address space than jax needs there is no verdict, and no harm."""
    report = verify(plain_proof, tiny.plain().source, bounds=Bounds(memory_bytes=2**28))
    assert report.verdict is Verdict.INCONCLUSIVE


def test_child_writes_no_large_files(tmp_path: Path) -> None:
    code = "from pol_jax.sandbox.bounds import limit_resources; limit_resources(None)\n"
    code += "open('large', 'wb').truncate(2**28 + 1)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
