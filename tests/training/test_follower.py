"""How many copies of states a loop holds that is ahead of its follower."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import tiny

from pol_jax import Choices, open_proof, train
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.training import follower, states
from pol_jax.training.follower import Follower
from pol_jax.training.states import HostState

STEPS, CHOICES = 3, Choices(interval=1)


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
    train(tiny.plain(), tmp_path / "proof", steps=STEPS, choices=CHOICES)
    assert (highest == 1) == (room == 0)


def test_a_step_that_the_loop_takes_itself_leaves_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As each of several processes does where it saves; else it would wait for ever at a later checkpoint."""
    monkeypatch.setattr(follower, "_WAITING_STATES", 0)
    monkeypatch.setattr(Follower, "_is_taken_here", lambda self, step: self._witness.keeps(step))
    chosen = {"steps": STEPS, "choices": CHOICES}
    trained = Thread(target=train, args=(tiny.plain(), tmp_path / "proof"), kwargs=chosen, daemon=True)
    trained.start()
    trained.join(60)
    assert not trained.is_alive()
    assert open_proof(tmp_path / "proof").finished()
