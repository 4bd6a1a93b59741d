"""A trusted task is exported once for each batch size and arithmetic, and never for records or rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from federation import assignment, linear

from pol_jax.training.export import export_task
from pol_jax.workers import trusted_task
from pol_jax.workers.trusted_task import TrustedTask


def test_programs_are_exported_once_however_many_updates_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()

    def export(task: Any, signature: Any, limits: Any) -> Any:
        made.append(signature.batch_size)
        assert limits.constant_bytes >= 2**60, "one's own program has nothing to hide"
        return export_task(task, signature, limits)

    monkeypatch.setattr(trusted_task, "export_task", export)
    trusted = TrustedTask(linear())
    first = trusted.export(assignment(0))
    assert trusted.export(assignment(1)) is first
    assert trusted.export(replace(assignment(0), seed="another round")) is first
    assert trusted.export(replace(assignment(0), batch_size=2)).signature.batch_size == 2
    assert made == [4, 2]
