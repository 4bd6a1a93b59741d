"""What `pol_jax.attesting` imports, and that its document names tests that are there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pol_jax.attesting

MODULES = sorted(Path(pol_jax.attesting.__file__).parent.glob("*.py"))

TEST_FOLDERS = ("attesting", "attacks", "docs", "verifying", "judging", "cli", "reports/wording")
TESTS = [path for folder in TEST_FOLDERS for path in (Path(__file__).parent / folder).glob("test_*.py")]

OWN = {path.stem for path in MODULES if path.stem != "__init__"}
ALLOWED = {"pol_jax.errors", "pol_jax.files", "pol_jax.protocol.signers", "pol_jax.protocol.strict_json"}
OUTSIDE = {"jax", "flax", "optax", "orbax", "click", "rich", "pickle", "subprocess"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports(path: Path) -> None:
    """Only errors, files, signers, strict JSON, itself, and libraries that don't compute on devices or talk to people.

    ``files`` reads files within bounds and writes new ones whole or not at all, for every package: a second way to do
    so here could be less careful.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] not in OUTSIDE, name
            if name.startswith("pol_jax") and not name.startswith("pol_jax.attesting"):
                assert name in ALLOWED


def test_only_one_module_hashes() -> None:
    hashing = {
        path.stem
        for path in MODULES
        if {"import hashlib", "from blake3 import blake3"} & {*path.read_text().splitlines()}
    }
    assert hashing == {"digests"}


def test_nothing_here_starts_jax() -> None:
    imports = "; ".join(f"import pol_jax.attesting.{name}" for name in sorted(OWN))
    script = f"import sys; {imports}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_one_file_fits_a_concept_and_a_function_fits_the_eye(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_the_package_names_its_modules() -> None:
    text = pol_jax.attesting.__doc__ or ""
    for name in OWN:
        assert f"`{name}`" in text or f"attesting.{name}" in text, name


def test_each_line_of_the_document_names_a_test_that_is_there() -> None:
    document = (Path(__file__).parents[1] / "docs" / "attestation.md").read_text()
    section = document[document.index("## 11.") :]
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", section))
    existing = set(re.findall(r"^def (test_[a-z_0-9]+)", "\n".join(map(Path.read_text, TESTS)), re.MULTILINE))
    assert named <= existing, named - existing
    lines = [
        line for line in section.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| they"))
    ]
    assert len(lines) >= 15
    assert all("`test_" in line for line in lines)
