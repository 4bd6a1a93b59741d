"""The fields in which two commitments differ are named as people write them."""

from __future__ import annotations

from msgspec.structs import replace
from stored_vectors import vectors

from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.differences import differing_fields

ONE = Commitment.parse(vectors("documents")["accepted"][0]["text"].encode())


def test_a_commitment_does_not_differ_from_itself() -> None:
    assert differing_fields(ONE, Commitment.parse(ONE.encode())) == []


def test_fields_have_dotted_names_and_both_values() -> None:
    interval = ONE.schedule.interval
    other = replace(ONE, nonce="other", schedule=replace(ONE.schedule, interval=interval + 1))
    assert differing_fields(ONE, other) == [
        ("nonce", repr(ONE.nonce), "'other'"),
        ("schedule.interval", str(interval), str(interval + 1)),
    ]


def test_a_leaf_is_named_by_its_place_and_a_list_of_another_length_as_a_whole() -> None:
    leaf = replace(ONE.state[0], path="/elsewhere")
    assert differing_fields(ONE, replace(ONE, state=(leaf, *ONE.state[1:]))) == [
        ("state[0].path", repr(ONE.state[0].path), "'/elsewhere'")
    ]
    ((name, before, after),) = differing_fields(ONE, replace(ONE, state=(*ONE.state, leaf)))
    assert (name, len(before), len(after)) == ("state", 60, 60)
    assert after.endswith("...")


def test_hyperparameters_that_only_one_has_are_found() -> None:
    other = replace(ONE, task=replace(ONE.task, hyperparameters={**ONE.task.hyperparameters, "zeta": 3}))
    assert differing_fields(ONE, other) == [("task.hyperparameters.zeta", "None", "3")]
