"""Processes of the sandbox that are forked: they are what tests take them for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from forked_children import ForkedPopen

from pol_jax.sandbox.compiled_programs import cache_settings
from pol_jax.sandbox.starting import python_process

SAYS = "import os, sys, tempfile; print(sys.argv[3:], tempfile.gettempdir(), os.getcwd(), flush=True)"


def test_a_process_has_its_arguments_and_its_environment_and_ends_as_it_says(tmp_path: Path) -> None:
    """Also with a cache of compiled programs, as each verification has one."""
    variables = {"TMPDIR": str(tmp_path), **cache_settings(tmp_path)}
    with python_process(f"{SAYS}; sys.exit(3)", ["one", "two"], variables) as process:
        assert isinstance(process.popen, ForkedPopen)
        assert process.popen.pid != os.getpid()
        assert process.popen.wait(60) == process.popen.poll() == 3
        process.output.seek(0)
        assert process.output.read() == f"['one', 'two'] {tmp_path} /\n".encode()


def test_an_error_is_told_and_a_kill_is_one() -> None:
    with python_process("raise ValueError('of the child')", [], {}) as process:
        assert process.popen.wait(60) == 1
        process.output.seek(0)
        assert b"ValueError: of the child" in process.output.read()
    with python_process("import time; time.sleep(600)", [], {}, own_group=True) as process:
        assert process.popen.poll() is None
    assert process.popen.wait(60) == -signal.SIGKILL


def test_one_that_has_just_ended_may_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `subprocess` allows it: its end is known to the system before the server has said so."""
    with python_process("pass", [], {}) as process:
        assert process.popen.wait(60) == 0
        monkeypatch.setattr(process.popen, "poll", lambda: None)
        process.popen.kill()


def test_other_settings_of_jax_start_an_interpreter() -> None:
    with python_process(SAYS, [], {"JAX_NUM_CPU_DEVICES": "3"}) as process:
        assert not isinstance(process.popen, ForkedPopen)
        assert process.popen.wait(60) == 0


@pytest.mark.started
def test_a_test_of_starts_starts_an_interpreter() -> None:
    with python_process(SAYS, [], {}) as process:
        assert not isinstance(process.popen, ForkedPopen)
