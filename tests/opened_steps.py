"""The steps that tests open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import tiny

from pol_jax.protocol.opening import Opening
from pol_jax.proving import opener, regeneration
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Source

STEPS = (1, 8, 24)


SOURCE = tiny.plain().source


SECRET = b"s" * 32


def open_blindly(root: Path, steps: Iterable[int], source: Source = SOURCE) -> Opening:
    """Open steps as a forger does, whose code looks neither at the claim nor at the initial state."""
    with patch.object(opener, "_check_claim"), patch.object(regeneration, "check_initial"):
        return opener.open_steps(open_proof(root), source, steps)
