"""Wrong arguments from Python are one clear line that says what was expected, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from forked_children import forking
from places import TESTS
from wrong_calls import CALLS

from pol_jax.sandbox.starting import python_process

MAKE = f"""
import runpy, sys
sys.path.insert(0, {str(TESTS)!r})
del sys.argv[1:3]  # what is given to each process
runpy.run_path({str(TESTS / "wrong_calls.py")!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each of the calls gave, in a process that checks no annotations."""
    folder = tmp_path_factory.mktemp("calls")
    with forking(), python_process(MAKE, [str(folder)], {}) as process:
        assert process.popen.wait(600) == 0, process.describe_end()
        process.output.seek(0)
        return {found["name"]: found for found in map(json.loads, process.output.read().splitlines())}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_one_line(name: str, calls: dict[str, dict[str, Any]]) -> None:
    found, words = calls[name], CALLS[name][1]
    assert words in found["text"], found
    assert found["exit_code"] == 2, found
    assert "\n" not in found["text"]
    assert found["left"] == []
