"""Loops that were ported: a few lines changed, they learn as the original does, and are verified."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from places import ROOT
from unsandboxed import verify

from pol_jax.errors import TaskError
from pol_jax.protocol.policies import AllSegments
from pol_jax.training.export import export_task, signature_of

EXAMPLES = ROOT / "examples"
PORTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
LIBRARY = {"equinox_classifier": "equinox", "keras_classifier": "keras"}


def load(path: Path) -> ModuleType:
    """A file as a module; it may import others that lie beside it, and is not found by its name."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gained(values: list[float]) -> float:
    return abs(float(np.mean(values[-10:]) - np.mean(values[:10])))


def changed_lines(name: str) -> list[str]:
    """The lines that a port takes out of the original, and those that it puts in."""
    before, after = ((folder / f"{name}.py").read_text() for folder in (EXAMPLES / "originals", EXAMPLES))
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))
    return [line for line in lines[2:] if len(line.strip()) > 1 and line[0] in "+-"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.interpreter] * (name in LIBRARY)) for name in PORTS]
)
def test_a_port_learns_as_the_original_does_and_is_verified(name: str, tmp_path: Path) -> None:
    if name in LIBRARY and not find_spec(LIBRARY[name]):
        pytest.skip(f"{LIBRARY[name]} is not installed (extra: libraries)")
    port, original = load(EXAMPLES / f"{name}.py"), load(EXAMPLES / "originals" / f"{name}.py")
    assert 0.5 < gained(port.train(tmp_path / "proof")) / gained(original.train()) < 2
    report = verify(tmp_path / "proof", port.task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.verdict == "accepted", report.reasons


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.interpreter] * (name in LIBRARY)) for name in PORTS]
)
def test_a_port_takes_exact_arithmetic_or_says_what_keeps_it(name: str) -> None:
    if name in LIBRARY and not find_spec(LIBRARY[name]):
        pytest.skip(f"{LIBRARY[name]} is not installed (extra: libraries)")
    task = replace(load(EXAMPLES / f"{name}.py").task, arithmetic="exact")
    if name == "equinox_classifier":  # its dropout has keys of a generator of its own
        with pytest.raises(TaskError, match=r"exact arithmetic doesn't cover random_split .*, at .*equinox_class"):
            export_task(task, signature_of(task, "threefry2x32"))
    else:
        export_task(task, signature_of(task, "threefry2x32"))


@pytest.mark.parametrize("name", PORTS)
def test_the_page_shows_what_changed_which_is_little(name: str) -> None:
    lines = changed_lines(name)
    assert len(lines) <= 10
    assert "\n".join(["```diff", *lines, "```"]) in (EXAMPLES / "README.md").read_text()


def test_every_original_has_a_port() -> None:
    assert sorted(path.stem for path in (EXAMPLES / "originals").glob("*.py")) == PORTS
