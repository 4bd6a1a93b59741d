"""What fails at the first step fails before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import tiny

from pol_jax.errors import TaskError
from pol_jax.program.artifact import load_program
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.proving.trial import running
from pol_jax.training.export import export_task, signature_of


@contextmanager
def setting(name: str, value: Any) -> Iterator[None]:
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


def empty(root: Path) -> bool:
    return not root.exists() or not any(root.iterdir())


def failing(task: Any, root: Path) -> str:
    with pytest.raises(TaskError) as caught:
        train(task, root)
    assert empty(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_step_that_gives_no_number_under_debug_nans(tmp_path: Path) -> None:
    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        return state * jnp.log(-jnp.abs(batch["x"]).sum()), {"loss": state.sum() + batch["x"].sum()}

    task = replace(tiny.nested(), init=lambda key: jnp.ones(3), step=step, source=tiny.plain().source)
    with setting("jax_debug_nans", True):
        assert "the first step can't run here: " in failing(task, tmp_path / "proof")


def test_a_program_that_no_verifier_would_load(tmp_path: Path) -> None:
    """Whatever the exporter lets through."""
    other = export_task(tiny.linen(), signature_of(tiny.linen(), "threefry2x32"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pol_jax.proving.commit.export_task", lambda *_: other)
        assert "can't be loaded back: " in failing(tiny.plain(), tmp_path / "proof")


def test_transfers_that_the_caller_forbids_their_own_code(tmp_path: Path) -> None:
    with setting("jax_transfer_guard", "disallow"):
        with Recording(tiny.plain(), tmp_path / "proof", steps=8) as open_recording:
            state = open_recording.state
            for inputs in open_recording:
                state, _ = open_recording.step(state, inputs)
    assert (tmp_path / "proof/inventory.json").exists()


def test_a_machine_that_gives_up_is_one_line() -> None:
    with pytest.raises(TaskError, match=r"^step 7 can't run here: RESOURCE_EXHAUSTED: out of memory$"):
        with running("step 7"):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory\nmore of it")
    with pytest.raises(ValueError, match="mine"), running("step 7"):
        raise ValueError("mine")


def test_a_new_run_loads_its_programs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compiled for the trial is what runs."""
    loaded = []

    def load(*arguments: Any) -> Any:
        loaded.append(arguments)
        return load_program(*arguments)

    monkeypatch.setattr("pol_jax.proving.trial.load_program", load)
    monkeypatch.setattr("pol_jax.storage.proof.load_program", load)
    with Recording(tiny.plain(), tmp_path / "proof", steps=6):
        assert len(loaded) == 1


def test_a_refused_task_leaves_no_directory_that_was_made_for_it(tmp_path: Path) -> None:
    broken = replace(tiny.nested(), step=lambda state, batch, key: state)
    (tmp_path / "here").mkdir()
    for out in ("here", "here/deeper/proof", "proof"):
        failing(broken, tmp_path / out)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]
