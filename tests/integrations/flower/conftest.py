"""An identity, as Flower's runtime gives it to what runs in it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Flower's runtime sets it, where Flower is installed."""
    identity = pytest.importorskip("flwr.supercore.task_identity", reason="the extra 'flower' is not installed")
    for name in ("task_id", "run_id", "node_id"):
        monkeypatch.setattr(identity.TaskIdentity, f"_{name}", 1)
