"""Garbage is looked for after imports, and not among what they have made; in a process of its own, which is changed."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc
from pol_jax.garbage import importing

with importing():
    assert not gc.isenabled()
    made = [[] for _ in range(1000)]
assert gc.isenabled()
assert gc.get_freeze_count() >= len(made)
try:
    with importing():
        raise ImportError
except ImportError:
    assert gc.isenabled()
"""


def test_nothing_is_looked_for_meanwhile_and_everything_that_is_made_later() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)
