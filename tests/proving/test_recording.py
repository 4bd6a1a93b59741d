"""A recording is used inside its block, by a loop of one's own or by `run`, and by one process at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import tiny
from killed_runs import STEPS

import pol_jax
from pol_jax.errors import StorageError, UsageError
from pol_jax.proving.recording import Recording


@pytest.mark.interpreter
def test_own_loop_gives_the_same_claim_as_train(plain_proof: Path, tmp_path: Path) -> None:
    """Whose loop it is makes no difference; neither does an interruption of it."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    for stop in (10, None):
        with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
            state = recording.state
            expected = jax.tree.structure(tiny.plain().init(jax.random.key(0)))
            assert jax.tree.structure(state) == expected  # type: ignore[operator, unused-ignore]  # jax gives it no type
            for inputs in recording:
                state, metrics = recording.step(state, inputs)
                assert set(metrics) == {"loss", "norm"}
                if inputs.step == stop:
                    break
        assert (tmp_path / "proof/claim.json").exists() == (stop is None)
    own, theirs = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert own.claim == theirs.claim
    assert not pol_jax.diff(own, theirs)


def train_until(step: int, error: Exception, out: Path) -> None:
    with pol_jax.Recording(tiny.plain(), out) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == step:
                raise error


def test_error_in_own_loop_passes_and_keeps_the_run_open(tmp_path: Path) -> None:
    own = ArithmeticError("mine")
    with pytest.raises(ArithmeticError) as raised:
        train_until(8, own, tmp_path / "proof")
    assert raised.value is own
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof") as recording:
        assert recording.start in (0, 6)  # what was not observed yet is dropped


def reading_what_was_reused(root: Path) -> None:
    with Recording(tiny.plain(), root, steps=12) as recording:
        old = recording.state
        recording.step(old, next(iter(recording)))
        np.asarray(old["params"]["w"])


def test_what_is_read_after_its_memory_was_reused_gets_a_note(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        reading_what_was_reused(tmp_path / "proof")
    assert any("jax.tree.map(jnp.copy, state)" in note for note in caught.value.__notes__)


def test_outside_of_its_block(tmp_path: Path) -> None:
    recording = Recording(tiny.plain(), tmp_path / "proof", steps=2)
    uses: list[Callable[[], Any]] = [lambda: iter(recording), recording.run]
    for use in uses:
        with pytest.raises(UsageError, match=r"with pol_jax\.Recording"):
            use()
    with recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
    with pytest.raises(UsageError, match=r"with pol_jax\.Recording"):
        recording.step(state, inputs)


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        Recording(tiny.plain(), tmp_path / "proof", steps=STEPS),
        pytest.raises(StorageError, match="in use by another process"),
    ):
        Recording(tiny.plain(), tmp_path / "proof", steps=STEPS)
