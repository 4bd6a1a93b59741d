"""A claim says where each step was made, and what else its types can't express is checked when it is read."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from stored_vectors import vectors

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import INITIAL, Claim, EnvironmentFrom, Intervention
from pol_jax.protocol.spans import Span

VECTORS = [vector for vector in vectors("documents")["accepted"] if vector["kind"] == "claim"]
ENVIRONMENT = Claim.parse(VECTORS[0]["text"].encode()).environment


def claim(*starts: int, steps: int = 24, **changes: Any) -> Claim:
    environments = tuple(EnvironmentFrom(at, ENVIRONMENT) for at in starts)
    return replace(Claim("pol-jax/2", "00" * 32, "00" * 32, steps, "00" * 32, environments, ()), **changes)


def intervention(after: int, *leaves: str) -> Intervention:
    return Intervention(after, leaves, "00" * 32, "a reason")


def test_environments_of_steps() -> None:
    """Each holds from the step after the one that is named; the initial state is of the first."""
    expected = {INITIAL: [0], Span(0, 6): [0], Span(5, 7): [0, 6], Span(6, 12): [6], Span(11, 24): [6, 12]}
    assert {span: [each.start for each in claim(0, 6, 12).environments_of(span)] for span in expected} == expected


def test_differences_are_those_of_the_steps_that_count_and_none_is_told_twice() -> None:
    other = replace(ENVIRONMENT, jax="0.0.1")
    moved = claim(environments=(EnvironmentFrom(0, other), EnvironmentFrom(6, ENVIRONMENT), EnvironmentFrom(12, other)))
    line = f"jax: 0.0.1 against {ENVIRONMENT.jax}"
    assert moved.environment == other
    assert moved.environment_differences(ENVIRONMENT) == [line]
    assert moved.environment_differences(ENVIRONMENT, [Span(0, 6), Span(12, 18)]) == [line]
    assert moved.environment_differences(ENVIRONMENT, [INITIAL]) == [line]
    assert moved.environment_differences(ENVIRONMENT, [Span(6, 12)]) == []


@pytest.mark.parametrize("vector", VECTORS, ids=[str(at) for at in range(len(VECTORS))])
def test_a_claim_is_written_as_the_version_that_it_came_from(vector: dict[str, Any]) -> None:
    content = vector["text"].encode()
    parsed = Claim.parse(content)
    assert parsed.encode() == content
    assert parsed.digest().hex() == vector["digest"]


def test_what_is_written_is_read_again() -> None:
    made = claim(0, 6, interventions=(intervention(3, "/w"), intervention(4, "/b", "/w")))
    assert Claim.parse(made.encode()) == made


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (claim(), "environments: expected ascending steps below 24, the first 0"),
        (claim(1), "environments: expected ascending"),
        (claim(0, 6, 6), "environments: expected ascending"),
        (claim(0, 24), "environments: expected ascending"),
        (claim(*range(2**10 + 1), steps=2**20), "environments: expected ascending"),
        (claim(0, interventions=(intervention(24, "/w"),)), "interventions: expected ascending steps below 24"),
        (claim(0, interventions=(intervention(5, "/w"), intervention(5, "/w"))), "interventions: expected ascending"),
        (claim(0, interventions=(intervention(5),)), "interventions: leaves: is empty"),
        (claim(environments=(EnvironmentFrom(0, replace(ENVIRONMENT, variables=None)),)), "environment.variables"),
        (
            claim(environments=(EnvironmentFrom(0, replace(ENVIRONMENT, cpu_features=("b", "a"))),)),
            "environment.cpu_features: expected a list, sorted",
        ),
        (
            claim(environments=(EnvironmentFrom(0, replace(ENVIRONMENT, shardings=("x",))),)),
            "environment.shardings: expected an empty list",
        ),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_what_the_types_do_not_express_is_checked(wrong: Claim, field: str) -> None:
    with pytest.raises(ProofError) as refusal:
        Claim.parse(wrong.encode())
    assert str(refusal.value).startswith(f"claim.json: {field}")
