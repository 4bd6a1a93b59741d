"""An assignment leaves a worker nothing to choose, and asks for nothing that nobody could train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny
from federation import INTERVAL, STEPS, assignment, linear, model, task

from pol_jax.errors import UsageError
from pol_jax.proving.choices import Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.workers.assignment import Assignment, Data, register


def test_a_worker_trains_the_task_with_what_was_assigned() -> None:
    asked = Assignment("a seed", STEPS, 3, INTERVAL, Data("0" * 64, 10), arithmetic="exact")
    own = asked.of_task(linear())
    assert (own.batch_size, own.arithmetic, own.step) == (3, "exact", own.step)
    assert replace(asked, arithmetic=None).of_task(replace(linear(), arithmetic="exact")).arithmetic == "exact"
    secret, sent = bytes(32), model(1)
    expected = Choices(
        interval=INTERVAL, seed="a seed", witness_interval=1, secret=secret, start=Start(sent, ("/params",))
    )
    assert asked.choices(sent, secret) == expected


def test_what_is_registered_can_t_be_changed() -> None:
    data = register(task(0).source)
    assert (data.records, data.salted) == (tiny.RECORDS, False)
    assert data == register(task(0).source)
    assert data.root != register(task(1).source).root
    salted = register(task(0).source, bytes(32))
    assert salted.salted
    assert salted.root not in {data.root, register(task(0).source, b"s" * 32).root}


def test_nobody_can_have_a_key_that_is_none() -> None:
    with pytest.raises(UsageError, match="assignment: prover"):
        replace(assignment(0), prover="ed25519:" + "00" * 32)


@pytest.mark.parametrize(
    "change",
    [
        *({"steps": 0}, {"batch_size": 0}, {"interval": -1}, {"data": Data("no root", 3)}),
        *({"steps": 2**32}, {"batch_size": 2**20 + 1}, {"interval": 2**20 + 1}),
    ],
    ids=str,
)
def test_an_assignment_that_nobody_could_train_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="assignment: "):
        replace(assignment(0), **change)


def test_an_assignment_may_ask_for_all_that_a_commitment_takes() -> None:
    replace(assignment(0), batch_size=2**20, interval=2**20)
