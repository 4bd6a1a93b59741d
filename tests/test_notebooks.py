"""The notebooks run from top to bottom, and are committed with what they showed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from in_process import serving_thread
from measured_backends import variables_with_cache
from nbclient import NotebookClient
from places import ROOT
from programs import needs

from pol_jax.sandbox.process import Process
from pol_jax.sandbox.starting import child_process
from pol_jax.verifying.compilations import variants

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))

IN_A_KERNEL = "06_workers"
"""Runs as a reader runs it. For the others a kernel each would import and compile once more what is at hand here."""


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_its_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_say_nothing_of_the_machine(path: Path) -> None:
    """No warnings of its libraries, no place in its file system."""
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    assert "stderr" not in [output.get("name") for output in outputs]
    shown = [output.get("text", "") + "".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    roots = "|".join(re.escape(entry.name) for entry in Path("/").iterdir())  # paths of leaves look like paths of files
    assert not [text for text in shown if re.search(rf"(?<![\w.])/({roots})/|site-packages", text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if any('"openssl"' in cell for cell in cells):
        needs("openssl")
    if path.stem == IN_A_KERNEL:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return
    import matplotlib.pyplot as plt  # it takes long, in each process that finds these tests

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pol_jax.sandbox.apart.child_process", _child_process)
    # To calibrate in all ways takes half of the backends' time; tests/backends does.
    monkeypatch.setattr("pol_jax.backends.workload.variants", lambda platform: variants(platform)[:2])
    monkeypatch.setattr("pol_jax.backends.runner._variables", variables_with_cache)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    with plt.rc_context():
        run_cells(path.stem, cells)


def run_cells(name: str, cells: Sequence[str]) -> None:
    """Run the cells of a notebook in this process, in the module that theirs would be."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        exec(compile(cell, f"{name}, cell {number}", "exec"), names)  # noqa: S102  # a notebook of ours


def _child_process(*arguments: Any, **options: Any) -> AbstractContextManager[Process]:
    """Verify in this process, unless XLA is told something by a variable, which a process reads once."""
    return (child_process if "XLA_FLAGS" in os.environ else serving_thread)(*arguments, **options)
