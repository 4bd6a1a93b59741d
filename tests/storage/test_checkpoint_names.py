"""Directories of checkpoints have the numbers of their steps."""

from __future__ import annotations

from pathlib import Path

from pol_jax.storage.checkpoint_names import checkpoint_name, checkpoint_steps


def test_a_name_has_ten_digits_below_one_directory() -> None:
    assert checkpoint_name(0) == "checkpoints/0000000000"
    assert checkpoint_name(2**32 - 1) == "checkpoints/4294967295"


def test_steps_are_those_of_the_names_ascending(tmp_path: Path) -> None:
    assert checkpoint_steps(tmp_path) == []
    for step in (12, 0, 100):
        (tmp_path / checkpoint_name(step)).mkdir(parents=True)
    for other in ("6", "0000000006.removed", "0000000006\n", ".DS_Store", "\u0660" * 10):
        (tmp_path / "checkpoints" / other).mkdir()
    assert checkpoint_steps(tmp_path) == [0, 12, 100]
