"""The commands of docs/walk-through.md are those that notebook 04 runs, in the same order."""

from __future__ import annotations

import re

import nbformat
from places import ROOT


def test_the_walk_through_is_what_the_notebook_ran() -> None:
    text = (ROOT / "docs" / "walk-through.md").read_text()
    written = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    notebook = nbformat.read(ROOT / "notebooks" / "04_identity.ipynb", as_version=4)
    shown = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert written == re.findall(r"^\$ (pol .*)$", shown, re.MULTILINE)
