"""Wrong arguments from Python are one clear line that says what was expected, and nothing is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from places import ROOT, TESTS
from wrong_calls import CALLS


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each of the calls gave, in a process that checks no annotations."""
    folder = tmp_path_factory.mktemp("calls")
    variables = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}"}
    command = [sys.executable, str(TESTS / "wrong_calls.py"), str(folder)]
    shown = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert shown.returncode == 0, shown.stderr
    return {found["name"]: found for found in map(json.loads, shown.stdout.splitlines())}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_one_line(name: str, calls: dict[str, dict[str, Any]]) -> None:
    found, words = calls[name], CALLS[name][1]
    assert words in found["text"], found
    assert found["exit_code"] == 2, found
    assert "\n" not in found["text"]
    assert found["left"] == []
