"""A commitment says what task and choices say, and a run that goes on must agree with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import tiny
from killed_runs import CHOICES, STEPS, interrupted, resume
from made_documents import made_commitment

from pol_jax.errors import UsageError
from pol_jax.exact import ARITHMETIC
from pol_jax.program.signature import Signature
from pol_jax.progress import Silent
from pol_jax.protocol.initial import OwnKey
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import check_choices, commitment_of, write_commitment
from pol_jax.proving.train import train

PROVER = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
OTHER = made_commitment()


def test_a_commitment_has_what_task_and_choices_say() -> None:
    task = dataclasses.replace(tiny.plain(), arithmetic="exact")
    choices = Choices(7, "a seed", PROVER, "a beacon", bytes(32), "rbg", 3, may_stop_early=True)
    signature = Signature.from_commitment(OTHER)
    made = commitment_of(task, 99, choices, signature, OTHER.program, OTHER.data, OwnKey())
    schedule = made.schedule
    assert (schedule.steps, schedule.may_stop_early) == (99, True)
    assert (schedule.interval, schedule.witness_interval, schedule.prng) == (7, 3, "rbg")
    assert (made.nonce, made.prover, made.beacon) == ("a seed", PROVER, "a beacon")
    assert (made.task.name, made.arithmetic) == (task.name, ARITHMETIC)
    assert (made.state, made.data, made.program) == (OTHER.state, OTHER.data, OTHER.program)


def test_what_is_not_chosen_is_the_task_s_or_a_default() -> None:
    signature = Signature.from_commitment(OTHER)
    made = commitment_of(tiny.plain(), 99, Choices(), signature, OTHER.program, OTHER.data, OwnKey())
    schedule = made.schedule
    assert (schedule.interval, schedule.witness_interval, schedule.prng) == (tiny.INTERVAL, 1, "threefry2x32")
    assert (made.nonce, made.prover, made.beacon, made.arithmetic) == ("0", None, None, None)
    assert not schedule.may_stop_early


def test_a_run_goes_on_with_choices_that_say_nothing_else() -> None:
    task = dataclasses.replace(tiny.plain(), name="digits", batch_size=64)
    check_choices(OTHER, task, Choices())
    check_choices(OTHER, task, Choices(interval=50, seed="0", prng="threefry2x32"))
    for choices, words in (
        (Choices(interval=49), "interval 49: this run is committed to 50"),
        (Choices(seed="1"), "seed 1"),
        (Choices(prover=PROVER), "key ed25519"),
        (Choices(beacon="b"), "beacon b"),
        (Choices(secret=bytes(32)), "the records of this run are public"),
    ):
        with pytest.raises(UsageError, match=words):
            check_choices(OTHER, task, choices)
    with pytest.raises(UsageError, match="batch size 4: this run is committed to 64"):
        check_choices(OTHER, dataclasses.replace(task, batch_size=4), Choices())


@pytest.mark.parametrize("name", ["notes.txt", "attestations/claim.json"])
def test_a_directory_with_other_files_is_no_place_for_a_run(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f"is no proof and not empty .it has {name}"):
        write_commitment(tmp_path, tiny.plain(), Choices(), Silent())


def test_choices_that_contradict_the_run_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    interrupted(path)
    for changes, word in (
        ({"choices": Choices(interval=5, seed="resume")}, "interval 5"),
        ({"choices": Choices(interval=6, seed="other")}, "seed other"),
        ({"choices": Choices(interval=6, seed="resume", secret=bytes(32))}, "public"),
        ({"choices": Choices(interval=6, seed="resume", prng="rbg")}, "prng rbg"),
        ({"choices": Choices(interval=6, seed="resume", witness_interval=2)}, "witness interval 2"),
        ({"steps": 3}, "committed to exactly 12"),
    ):
        with pytest.raises(UsageError, match=word):
            resume(path, **changes)
    with pytest.raises(UsageError, match="task tiny linen: this run is committed to tiny plain"):
        train(tiny.linen(), path, steps=STEPS, choices=CHOICES)
    with pytest.raises(UsageError, match="state is not the committed one"):
        train(dataclasses.replace(tiny.linen(), name="tiny plain"), path, steps=STEPS, choices=CHOICES)
