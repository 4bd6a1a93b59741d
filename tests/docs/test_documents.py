"""The documents agree with the code: the table of packages, links, versions, and what each record must say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from places import ROOT
from test_architecture import PACKAGES

DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), ROOT / "tests" / "frozen" / "README.md"]

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"```.*?```|^    .*?$|`[^`\n]*`", re.M | re.S)
"""Blocks and words of code, in which brackets are no links."""

PATH = re.compile(r"`((?:pol_jax|tests|scripts|docs)/[\w./-]+|\.ci/\w+)`")


def test_the_architecture_has_the_table_that_imports_are_held_to() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.*) ?\|$", (DOCS / "architecture.md").read_text(), re.M)
    table = {name: re.findall(r"`(\w+)`", allowed) for name, _, allowed in rows}
    assert table == {name: allowed.split() for name, allowed in PACKAGES.items()}
    assert list(table) == list(PACKAGES), "in the order in which they are read"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    links = {target for target, _ in LINK.findall(CODE.sub("", text)) if "://" not in target}
    missing = {link for link in links if not (document.parent / link).exists()}
    missing |= {path for path in PATH.findall(text) if not (ROOT / path).exists()}
    assert not missing


def test_the_index_names_every_document() -> None:
    index = {(DOCS / target).resolve() for target, _ in LINK.findall((DOCS / "README.md").read_text())}
    others = {*DOCUMENTS, DOCS / "report.schema.json"} - {DOCS / "README.md"}
    assert others <= index, sorted(others - index)


@pytest.mark.parametrize("record", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_a_context_and_consequences_and_is_short(record: Path) -> None:
    text = record.read_text()
    number = int(record.name.split("-")[0])
    assert text.startswith(f"# {number}. ")
    assert re.findall(r"^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences"]
    assert len(text.split()) < 400


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1:]
    assert sections[0].startswith(version)
    assert all("### Bytes that changed" in section for section in sections)


def test_the_wheel_is_the_package_with_its_types() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build == {"packages": ["pol_jax"]}
    assert (ROOT / "pol_jax" / "py.typed").is_file()


def test_what_the_readme_makes_is_ignored() -> None:
    made = ["proof/claim.json", "proof-2/records", ".venv/bin/pol", "tuned/claim.json", "other/claim.json", "file"]
    made += [
        "report.html",
        "key.pem",
        "opening",
        "gpu.json",
        "notebooks/proof/claim.json",
        "dist/a.whl",
        ".mypy_cache/a",
    ]
    result = subprocess.run(
        ["git", "check-ignore", "--no-index", *made], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode == 128:
        pytest.skip("not in a checkout of git")
    assert set(made) == set(result.stdout.split())
