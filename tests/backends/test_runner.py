"""Each backend runs in a process of its own; one that fails is a row that says why."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from measured_backends import outcome, shown

from pol_jax.backends import runner
from pol_jax.backends.description import Backend
from pol_jax.backends.results import Results
from pol_jax.backends.runner import BackendFailure


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("no such flag", "refused", "--xla_no_such_flag=1"),
        ("cuda", "missing", "the program can be lowered for it"),
        ("cuda, deterministic", "missing", "the program can be lowered for it"),
        ("no interpreter", "missing", "No such file"),
        ("crashes", "crashed", "died of SIGSEGV"),
        ("says nothing", "crashed", "ended without a result"),
        ("no jax", "missing", "ModuleNotFoundError: jax"),
    ],
)
def test_a_backend_that_fails_is_a_row_that_says_why(results: Results, name: str, status: str, words: str) -> None:
    found = outcome(results, name)
    assert found.status == status
    assert words in found.reason
    assert found.reproductions == ()
    assert words in shown((results,)).replace("\n", " ")


def test_an_unknown_instruction_set_is_no_backend() -> None:
    """XLA only warns of it, and goes on as if nothing were asked."""
    found = runner._outcome(0, "W1126 cpu_features.cc:106] Unknown CPU ISA: FOO", Path("/nowhere"))
    assert found == BackendFailure("refused", "Unknown CPU ISA: FOO")


def test_what_a_process_leaves_behind_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "info.json").write_text('{"status": "ran", "reason": "", "environment": 1}')
    assert isinstance(runner._outcome(0, "", tmp_path), BackendFailure)
    environment = dict.fromkeys(("platform", "platform_version", "device_kind", "jax", "jaxlib", "python"), "x")
    info = {"status": "ran", "reason": "", "environment": environment | {"device_count": 1, "cpu_count": 1}}
    (tmp_path / "info.json").write_bytes(msgspec.json.encode(info))
    assert isinstance(runner._outcome(0, "", tmp_path), BackendFailure)
    np.savez(tmp_path / "states.npz", a=np.array([object()]))
    found = runner._outcome(0, "", tmp_path)
    assert isinstance(found, BackendFailure)
    assert "states can't be read" in found.reason


def test_settings_reach_the_process_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    monkeypatch.setenv("PYTHONPATH", "/here")
    own = runner._variables(Backend("x", "cpu", ("--xla_b=2",), threads=3, devices=4))
    assert own["XLA_FLAGS"] == "--xla_a=1 --xla_b=2 --xla_force_host_platform_device_count=4"
    assert (own["JAX_PLATFORMS"], own["NPROC"], own["PYTHONPATH"]) == ("cpu", "3", "/here")
    assert own["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    assert runner._variables(Backend("x", "cpu", python="/other"))["PYTHONPATH"] == ""
