"""Checkpoints lie in one directory, each under the number of its step (docs/protocol.md, section 11)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

DIRECTORY: Final = "checkpoints"
# `$` in place of `\Z` would let a name end in a newline.
NAME: Final = re.compile(r"[0-9]{10}\Z")


def checkpoint_name(step: int) -> str:
    """Return the directory of the checkpoint after ``step``, relative to the proof."""
    return f"{DIRECTORY}/{step:010d}"


def checkpoint_steps(root: Path) -> list[int]:
    """Return the steps that have a checkpoint, ascending."""
    directory = root / DIRECTORY
    if not directory.is_dir():
        return []
    return sorted(int(entry.name) for entry in directory.iterdir() if NAME.match(entry.name))
