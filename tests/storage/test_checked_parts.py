"""What was checked stays in memory, within a bound, and is what later stages see, whatever becomes of the files."""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.protocol.rows import Row
from pol_jax.storage import checked_parts
from pol_jax.storage.checked_parts import CheckedParts


def row(step: int) -> Row:
    return Row(step, b"\0" * 8, np.arange(4, dtype=np.uint64), b"\1" * 32, None, b"\0" * 4)


def test_what_is_put_in_is_there() -> None:
    parts, leaves, rows = CheckedParts(), [np.arange(3)], [row(1), row(2)]
    parts.put_state(6, leaves, 24)
    parts.put_rows(0, rows)
    assert parts.rows(0) == rows
    assert parts.state(6) == leaves
    assert (parts.rows(1), parts.state(0)) == (None, None)


def test_nobody_changes_what_was_checked() -> None:
    parts = CheckedParts()
    parts.put_state(6, [np.arange(3)], 24)
    first = parts.state(6)
    assert first is not None
    with pytest.raises(ValueError, match="read-only"):
        first[0][0] = 7
    first.clear()  # as a replay does, to free memory
    assert len(parts.state(6) or ()) == 1


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_parts, "BOUND", 2000)
    parts = CheckedParts()
    for step in (0, 6, 12):
        parts.put_state(step, [np.zeros(100)], 800)
        parts.put_rows(step // 6, [row(step)])
    assert [step for step in (0, 6, 12) if parts.state(step)] == [0, 6]
    assert [segment for segment in range(3) if parts.rows(segment)] == [0]
