"""No command parses ledgers or states of a proof in its own process; the threat model says what is parsed where."""

from __future__ import annotations

import ast
import re
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tensorstore as ts
from commands import pol
from orbax.checkpoint import v1 as ocp
from places import ROOT

from pol_jax.cli.main import pol as group
from pol_jax.storage import checked_leaves, ledger, stored_leaves

NATIVE = {
    "pyarrow": {"storage.ledger", "storage.parquet_pages", "storage.store_nodes", "backends.table"},
    "tensorstore": {"storage.array_files", "storage.stored_leaves"},
    "orbax": {"storage.checkpoints", "storage.orbax_settings", "storage.stored_leaves", "storage.foreign_weights"},
}
"""The modules that call parsers of Parquet, Zarr and Orbax files; `backends.table` writes a table, and reads none."""

CONFINED = ("inspect", "diff", "check", "publish", "sign", "export", "open", "backends", "attack", "train")
"""Commands that have a ledger or a state parsed; of the others, verifications are one request to a process."""


class ParsedHereError(AssertionError):
    """A command has called a parser in its own thread."""


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was parsed in the place of a confined process; whatever a command parses elsewhere is an error."""
    found: list[str] = []

    def guard(where: Any, name: str) -> None:
        call = getattr(where, name)

        def guarded(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                raise ParsedHereError(name)
            found.append(name)  # by the thread that stands for a confined process, or by one that a library started
            return call(*given, **named)

        monkeypatch.setattr(where, name, guarded)

    for library, names in ((pq, ("ParquetFile", "read_table")), (ts, ("open",)), (ocp, ("load", "metadata"))):
        for name in names:
            guard(library, name)
    return found


@pytest.fixture
def calls(runs: Path, signed: Path, tmp_path: Path) -> dict[str, tuple[Any, ...]]:
    proof, key = signed / "proof", signed / "key.pem"
    return {
        "inspect": (runs / "a",),
        "diff": (runs / "a", runs / "longer"),
        "check": (proof, "--arrays"),
        "publish": (proof, "--out", tmp_path / "bundle"),
        "sign": (proof, "--key", key, "--out", tmp_path / "envelope"),
        "export": (proof, "--safetensors", tmp_path / "model.safetensors"),
        "open": (proof, "--steps", "3", "--task", "tiny:plain", "--out", tmp_path / "opening"),
    }


@pytest.mark.parametrize("command", CONFINED[:7])
def test_a_command_has_files_of_a_proof_parsed(
    command: str, calls: dict[str, tuple[Any, ...]], parsed: list[str]
) -> None:
    done = pol(command, *calls[command])
    assert done.exit_code == 0, done.output
    assert parsed


def test_what_a_run_takes_over_is_parsed_elsewhere(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training reads what it wrote itself; the earlier proof it does not."""
    read: list[tuple[str, Path]] = []
    opened, segment = stored_leaves.open_leaves, ledger.read_segment

    def open_leaves(root: Path, *others: Any) -> Any:
        read.append((threading.current_thread().name, root))
        return opened(root, *others)

    def read_segment(root: Path, *others: Any) -> Any:
        read.append((threading.current_thread().name, root))
        return segment(root, *others)

    monkeypatch.setattr(stored_leaves, "open_leaves", open_leaves)
    monkeypatch.setattr(checked_leaves, "open_leaves", open_leaves)
    monkeypatch.setattr(ledger, "read_segment", read_segment)
    arguments = ("--out", tmp_path / "tuned", "--steps", "2", "--start-from", signed / "proof", "--take", "/params")
    done = pol("train", "tiny:plain", *arguments)
    assert done.exit_code == 0, done.output
    assert {thread for thread, root in read if root == signed / "proof"} == {"confined"}


@pytest.mark.parametrize("command", ["backends", "attack"])
def test_what_executes_a_proof_opens_it_apart(command: str) -> None:
    """These take long to run; that they read through `open_apart` alone is seen in their code."""
    tree = ast.parse((ROOT / "pol_jax" / "cli" / f"{command}.py").read_text())
    names = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "open_apart" in names


def test_parsers_are_called_in_few_modules() -> None:
    found: dict[str, set[str]] = {library: set() for library in NATIVE}
    for path in (ROOT / "pol_jax").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "pol_jax").with_suffix("").parts)
        for line in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE):
            if line in found:
                found[line].add(module)
    assert found == NATIVE


def test_the_command_line_opens_proofs_of_others_apart() -> None:
    """`open_proof` itself is for what this user has just written, or for documents alone."""
    allowed = {"train", "resolve", "attack"}
    for path in (ROOT / "pol_jax" / "cli").glob("*.py"):
        if re.search(r"\bopen_proof\(", path.read_text()):
            assert path.stem in allowed, path


def test_the_threat_model_has_a_row_for_every_command() -> None:
    rows = re.findall(r"^\| ((?:`\w[\w-]*`(?:, )?)+) \| .* \| (.*) \|$", section(), re.MULTILINE)
    commands = {name: where for names, where in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert commands.keys() == group.commands.keys()
    parsing = {name for name, where in commands.items() if where != "nothing"}
    assert parsing == {*CONFINED, "verify", "merge-reports", "resolve"}


def section() -> str:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    return text.split("## What is parsed, and where")[1].split("\n## ")[0]
