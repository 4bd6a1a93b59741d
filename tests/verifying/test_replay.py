"""A replayer goes on from the states that it has reached, and from no others: nothing is loaded or executed twice.

Attacks that a replay refuses are in tests/attacks/test_stage_9_replay.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
from forge import Forger

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Silent
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.spans import Span
from pol_jax.storage.proof import Proof
from pol_jax.verifying import replay
from pol_jax.verifying.checks import check_files_to_states

ODD = b"\x07" * 32
"""A digest of nothing."""


def loads(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[ReplayResult]]:
    """Replay all segments, one after the other: the checkpoints that were loaded for it, and the results."""
    checked, loaded, true = check_files_to_states(root, Limits()), list[int](), Proof.checked_leaves

    def checked_leaves(proof: Proof, step: int) -> Sequence[np.ndarray]:
        loaded.append(step)
        return true(proof, step)

    monkeypatch.setattr(Proof, "checked_leaves", checked_leaves)
    replayer = replay.Replayer(checked, tiny.plain().source, None, Silent())
    return loaded, list(replayer.replay(map(checked.proof.segments.span, range(4))))


def test_neighbouring_segments_are_loaded_once(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, results = loads(plain_proof, monkeypatch)
    assert loaded == [0]
    assert [result.exact for result in results] == [True] * 4


def test_a_replay_goes_on_from_no_state_that_is_not_the_ledger_s(
    forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a false segment, the next one begins with its own checkpoint."""
    forger.change(9, state=ODD)
    forger.write()
    loaded, results = loads(forger.root, monkeypatch)
    assert loaded == [0, 12]
    assert [result.mismatch for result in results] == [None, 9, None, None]


class Counting(Silent):
    """Counts the steps that are replayed."""

    steps = 0

    def at(self, done: int, loss: float | None = None) -> None:
        self.steps += 1


def test_the_first_segment_goes_on_from_the_self_test(long_segment: Path) -> None:
    """Once: whatever is replayed a second time begins with the checkpoint."""
    checked, counting = check_files_to_states(long_segment, Limits()), Counting()
    replayer = replay.Replayer(checked, tiny.plain().source, None, counting)
    first, whole = Span(0, 10), Span(0, 24)
    assert replayer.self_test(first) == ReplayResult(first)
    assert list(replayer.replay([whole])) == [ReplayResult(whole)]
    assert counting.steps == 24
    assert list(replayer.replay([whole])) == [ReplayResult(whole)]
    assert counting.steps == 48
