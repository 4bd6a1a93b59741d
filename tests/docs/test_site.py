"""The documentation site builds without a warning: every page, every link, every name of the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from places import ROOT


@pytest.mark.skipif(not find_spec("mkdocs") or not find_spec("mkdocstrings"), reason="the extra docs is not installed")
def test_the_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / ".ci/mkdocs.yml"), "-d"]
    settings = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    built = subprocess.run([*command, str(tmp_path / "site")], capture_output=True, text=True, env=settings)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text()
    for name in ("Task", "records_from", "from_nnx", "verify_opening"):
        assert 'id="pol_jax.' in page
        assert name in page
    assert "--no-evaluate" in (tmp_path / "site" / "cli" / "index.html").read_text()


def test_every_document_is_a_page() -> None:
    """A page that is in no menu is found by nobody."""
    menu = (ROOT / ".ci/mkdocs.yml").read_text()
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert not [page for page in pages if page not in menu]
