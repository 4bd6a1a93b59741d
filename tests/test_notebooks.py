"""The notebooks run from top to bottom, in a kernel of their own; they are committed with what they showed."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT, TESTS
from programs import needs

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))

IN_PROCESS = f"""
import os
import sys
from unittest.mock import patch

from pol_jax.sandbox.starting import child_process

sys.path.append({str(TESTS)!r})
from in_process import serving_thread


def serve(*arguments, **options):
    # What XLA is told by a variable, a process reads once.
    return (child_process if "XLA_FLAGS" in os.environ else serving_thread)(*arguments, **options)


patch("pol_jax.sandbox.apart.child_process", serve).start()
"""
"""Put before a notebook that is about what is verified, and not about the process in which it is."""

COMPILED_ONCE_MORE = """
from unittest.mock import patch

from pol_jax.backends import workload

patch.object(workload, "variants", lambda platform, variants=workload.variants: variants(platform)[:2]).start()
"""
"""Put before a notebook whose backends compile without a cache: to calibrate in all ways takes half its time.

What all ways say is tested by tests/backends.
"""

ABOUT_VERDICTS = ("01_train_and_prove", "02_verify", "04_identity", "05_attacks", "06_workers")


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
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    if any('"openssl"' in cell.source for cell in notebook.cells if cell.cell_type == "code"):
        needs("openssl")
    if path.stem in ABOUT_VERDICTS:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(IN_PROCESS))
    if path.stem == "03_backends":
        notebook.cells.insert(0, nbformat.v4.new_code_cell(COMPILED_ONCE_MORE))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
