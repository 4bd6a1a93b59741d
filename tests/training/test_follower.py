"""How many copies of states a loop holds that is ahead of its follower."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import jax
import numpy as np
import pytest
import tiny
import unsandboxed

from pol_jax import AllSegments, Choices, open_proof, train
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.checkpoint_writer import CheckpointWriter
from pol_jax.training import follower, states
from pol_jax.training.follower import Follower
from pol_jax.training.states import HostState, Layout, Packed

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


def test_a_replay_holds_few_copies_however_small_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes nothing that its loop would have to wait for."""
    held, highest, pack, give_back = 0, 0, Layout.pack, Follower._give_back

    def counted(layout: Layout, leaves: Sequence[jax.Array]) -> Packed:
        nonlocal held, highest
        held += 1
        highest = max(highest, held)
        return pack(layout, leaves)

    def slow(self: Follower, step: int, has: bool) -> None:  # in the place of a method
        nonlocal held
        time.sleep(0.02)
        held -= has
        give_back(self, step, has)

    train(tiny.plain(), tmp_path / "proof", steps=8, choices=Choices(interval=8, witness_interval=1))
    monkeypatch.setattr(Layout, "pack", counted)
    monkeypatch.setattr(Follower, "_give_back", slow)
    report = unsandboxed.verify(tmp_path / "proof", tiny.plain().source, policy=AllSegments(), any_program=True)
    assert report.verdict is Verdict.ACCEPTED
    assert highest == 2
