"""A loop of one's own must pass each state on as it is, each step once and in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from pol_jax.errors import UsageError
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.storage.proof import open_proof
from pol_jax.training.task import Task

Change = Callable[[Any], Any]


def loop(root: Path, change: Change, at: int = 4, task: Task | None = None) -> None:
    """Train 12 steps; before step ``at`` + 1 the state is changed."""
    with Recording(task or tiny.plain(), root, steps=12) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == at:
                state = change(state)


def scaled(state: Any) -> Any:
    return {**state, "params": jax.tree.map(lambda leaf: leaf * 0.5, state["params"])}


CHANGES: dict[str, tuple[Change, str]] = {
    "scaled": (scaled, "step 5: the given state is not the one after step 4: leaf /params/b was changed"),
    "one bit": (
        lambda state: {**state, "count": state["count"] ^ 1},
        "step 5: the given state is not the one after step 4: leaf /count was changed",
    ),
    "key": (lambda state: {**state, "key": jax.random.key(0)}, "leaf /key was changed"),
    "dtype": (lambda state: {**state, "momentum": state["momentum"].astype(jnp.float32)}, "leaf /momentum was changed"),
    "shape": (lambda state: {**state, "nothing": jnp.zeros((0, 4))}, "leaf /nothing was changed"),
    "more": (lambda state: {**state, "more": jnp.zeros(1)}, "has another structure: /more differs"),
    "none": (lambda state: None, "has another structure: "),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_state_that_was_changed_is_noticed_at_that_step(what: str, tmp_path: Path) -> None:
    """It would be recorded to the end, and be rejected by every verifier."""
    change, words = CHANGES[what]
    with pytest.raises(UsageError) as caught:
        loop(tmp_path / "proof", change)
    assert words in str(caught.value)
    assert open_proof(tmp_path / "proof").last_step == 4


@pytest.mark.parametrize(
    "copy",
    [lambda leaf: leaf, lambda leaf: leaf.copy(), lambda leaf: jax.device_put(leaf, may_alias=False)],
)
def test_a_copy_is_the_same_state(copy: Any, tmp_path: Path) -> None:
    loop(tmp_path / "proof", lambda state: jax.tree.map(copy, state))
    train(tiny.plain(), tmp_path / "train", steps=12)
    assert open_proof(tmp_path / "proof").claim == open_proof(tmp_path / "train").claim


def test_negative_zero_is_another_number(tmp_path: Path) -> None:
    """Equal numbers with other bits are another state."""

    def negated(state: Any) -> Any:
        return {**state, "params": {**state["params"], "b": jnp.where(state["params"]["b"] == 0, -0.0, 0.0)}}

    with pytest.raises(UsageError, match="leaf /params/b was changed"):
        loop(tmp_path / "proof", negated, at=1)


def test_numbers_of_the_host_are_the_same_state(tmp_path: Path) -> None:
    """A state that went through numpy."""
    loop(
        tmp_path / "proof",
        lambda state: {**state, "params": jax.tree.map(np.asarray, state["params"])},
    )
    assert open_proof(tmp_path / "proof").claim


def test_a_state_whose_memory_was_reused(tmp_path: Path) -> None:
    with Recording(tiny.plain(), tmp_path / "proof", steps=12) as recording:
        inputs = iter(recording)
        recording.step(recording.state, next(inputs))
        with pytest.raises(UsageError, match=r"step 2: the memory of the given state was reused .* what step 1 "):
            recording.step(recording.state, next(inputs))


def test_a_task_that_was_edited_does_not_continue_the_run(tmp_path: Path) -> None:
    """Its user would believe that the new code has trained."""
    with pytest.raises(UsageError, match="was changed"):
        loop(tmp_path / "proof", scaled, at=8)
    task = tiny.plain()

    def step(state: Any, batch: Any, key: jax.Array) -> Any:
        new, metrics = task.step(state, batch, key)
        return new, {**metrics, "loss": metrics["loss"] * 2}

    with pytest.raises(UsageError, match="the task's program is not the one with which this run began"):
        train(replace(task, step=step), tmp_path / "proof")
    assert train(tiny.plain(), tmp_path / "proof").claim
    assert train(replace(task, step=step), tmp_path / "proof").claim  # is finished: nothing is trained
