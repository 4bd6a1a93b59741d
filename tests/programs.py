"""Programs of other people that tests compare with; .ci/run installs them."""

from __future__ import annotations

import shutil

import pytest


def needs(*names: str) -> None:
    """Skip the test if a program is not installed."""
    for name in names:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
