"""The scripts that measure and draw the figures of the documents."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from places import SCRIPTS

FIGURES = SCRIPTS.parent / "docs" / "figures"


ERROR, UPDATE = 4, 9
"""Places in a point: what is drawn, and how far the steps themselves went."""


def run_here(script: str, *arguments: str) -> str:
    """Run a script as ``python SCRIPT`` does, in this process, which has its imports already; return what it prints."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        patch.setattr(sys, "argv", [str(SCRIPTS / script), *arguments])
        runpy.run_path(sys.argv[0], run_name="__main__")
    return said.getvalue()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where three figures were measured with the settings of tests, and what the script said."""
    out = tmp_path_factory.mktemp("figures")
    return out, run_here("paper_figures.py", "precision", "interval", "activation", "--quick", "--out", str(out))


def points(out: Path, name: str) -> list[list[Any]]:
    found: list[list[Any]] = json.loads((out / f"{name}.json").read_bytes())["points"]
    return found


def test_replay_from_whole_states_is_exact_and_from_rounded_ones_is_not(measured: tuple[Path, str]) -> None:
    found = points(measured[0], "precision")
    errors = {
        dtype: [each[ERROR] for each in found if each[1] == dtype] for dtype in ("float32", "float16", "bfloat16")
    }
    assert set(errors["float32"]) == {0.0}
    assert all(0 < fine < coarse for fine, coarse in zip(errors["float16"], errors["bfloat16"], strict=True))


def test_other_compilations_are_off_by_rounding(measured: tuple[Path, str]) -> None:
    found = points(measured[0], "interval")
    assert {each[1] for each in found} == {"start", "middle", "end"}
    assert all(0 < each[ERROR] < 1e-4 and each[UPDATE] > 0 for each in found)


def test_what_needs_data_is_left_out_and_named(measured: tuple[Path, str]) -> None:
    out, said = measured
    assert "skipped: ResNet-20 on CIFAR-10: needs --data-dir" in said
    assert json.loads((out / "activation.json").read_bytes())["left_out"] == ["ResNet-20 on CIFAR-10: needs --data-dir"]
    assert not (out / "activation.png").exists()


def test_figures_are_drawn_again_without_measuring(measured: tuple[Path, str]) -> None:
    if find_spec("matplotlib") is None:
        pytest.skip("needs matplotlib: pip install '.[plots]'")
    out, _ = measured
    image = out / "precision.png"
    assert image.read_bytes().startswith(b"\x89PNG")
    image.unlink()
    assert "as measured before" in run_here("paper_figures.py", "precision", "--redraw", "--out", str(out))
    assert image.read_bytes().startswith(b"\x89PNG")


def test_every_committed_figure_is_described(measured: tuple[Path, str]) -> None:
    described = set(re.findall(r"figures/(\w+)\.png", (FIGURES.parent / "figures.md").read_text()))
    assert described == {path.stem for path in FIGURES.glob("*.png")} == {path.stem for path in FIGURES.glob("*.json")}
    assert not any(json.loads(path.read_bytes())["quick"] for path in FIGURES.glob("*.json"))


def test_the_script_measures_d_ref() -> None:
    said = run_here("d_ref.py", "tiny:plain", "--steps", "3")
    distances = {
        name: (float(whole), float(parameters))
        for name, whole, parameters in re.findall(r"^(l1|l2|linf|cosine) +(\S+) +(\S+)$", said, re.M)
    }
    assert all(whole >= parameters > 0 for name, (whole, parameters) in distances.items() if name != "cosine")
    assert f"--d-ref {distances['l2'][0]:.6g}" in said
