"""Entries are used together only if they are usable together; bounds come from executions that decide alike.

Whole steps with decisions are in tests/verifying/test_decided_spans.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.protocol.decision_entries import Entries, EntriesBySite
from pol_jax.protocol.ties import Observed
from pol_jax.verifying.observed_steps import Observation, ObservedSteps


def entries(*indices: int) -> EntriesBySite:
    return {0: Entries(np.array(indices), np.zeros(len(indices), np.float32))} if indices else {}


def settled(usable: dict[tuple[int, ...], tuple[int, ...]], rounds: int = 20) -> tuple[list[int], int]:
    """What is used in the end, if ``usable`` says which entries are usable where others are used; and executions."""
    executed = list[tuple[int, ...]]()

    def indices(used: EntriesBySite) -> tuple[int, ...]:
        return tuple(used[0].indices.tolist()) if used else ()

    def observe(used: EntriesBySite) -> Observation:
        executed.append(indices(used))
        assert len(executed) < rounds, "this never ends"
        return Observation([np.array(indices(used))], {}, [])

    def choose(found: Observation) -> EntriesBySite:
        return entries(*usable[tuple(found.state[0].tolist())])

    bare = object.__new__(ObservedSteps)  # nothing of a program is asked for
    used, found = bare.settle(observe, choose)
    assert tuple(found.state[0].tolist()) == indices(used)
    return list(indices(used)), len(executed)


def test_nothing_usable_is_one_execution() -> None:
    assert settled({(): ()}) == ([], 1)


def test_entries_that_come_near_by_others_are_added() -> None:
    assert settled({(): (1,), (1,): (1, 2), (1, 2): (1, 2)}) == ([1, 2], 3)


def test_entries_that_drive_each_other_away_are_taken_away() -> None:
    """Each is usable only where the other is not: in the end neither is used, and it ends."""
    used, executions = settled({(): (1,), (1,): (2,), (2,): (1,)})
    assert used == []
    assert executions < 12


def test_an_observation_has_its_operands_by_their_places() -> None:
    shown = [np.zeros((1, 2)), np.ones((3, 1))]
    assert Observation([], {}, shown).values(Observed(1)) is shown[1]
    with pytest.raises(IndexError):
        Observation([], {}, shown).values(Observed(2))
