"""How many copies of states a loop holds that is ahead of its follower."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny

from pol_jax import Choices, train
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.training import follower, states
from pol_jax.training.states import HostState

STEPS = 3


@pytest.mark.parametrize("room", [0, 2**20])
def test_of_large_states_one_copy_is_held(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that comes to the next checkpoint waits, until the last one is written."""
    held, highest, copy, save = 0, 0, HostState.copy, CheckpointWriter.save

    def counted(state: HostState) -> HostState:
        nonlocal held, highest
        held += 1
        highest = max(highest, held)
        return copy(state)

    def slow(writer: CheckpointWriter, step: int, leaves: Sequence[np.ndarray]) -> None:
        nonlocal held
        time.sleep(0.1)
        save(writer, step, leaves)
        held -= step > 0  # the first state is no copy

    monkeypatch.setattr(follower, "_WAITING_STATES", room)
    monkeypatch.setattr(states, "_COPIED_BYTES", 0)  # states are digested where they lie, as large ones are
    monkeypatch.setattr(HostState, "copy", counted)
    monkeypatch.setattr(CheckpointWriter, "save", slow)
    train(tiny.plain(), tmp_path / "proof", steps=STEPS, choices=Choices(interval=1))
    assert (highest == 1) == (room == 0)
