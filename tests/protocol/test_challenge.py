"""Challenges: what each policy draws, and which policies are refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import second_implementation as second
import tiny
from hypothesis import given
from hypothesis import strategies as st
from stored_vectors import vectors
from strategies import _digest, law

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import Stretch, by_chance, challenged_steps, draw, draw_steps
from pol_jax.protocol.documents import encode
from pol_jax.protocol.policies import (
    METRICS,
    AllSegments,
    JointSegments,
    ListedSegments,
    ListedSteps,
    Metric,
    Policy,
    RandomSegments,
    RandomSteps,
    StepPolicy,
    TopSegments,
    check_policy,
)

NAN, INF = math.nan, math.inf


def stretches(*sizes: float, epoch: int = 4) -> list[Stretch]:
    """Single segments, so many in an epoch."""
    return [Stretch(range(at, at + 1), at // epoch, size) for at, size in enumerate(sizes)]


def top(q: int, measured: list[Stretch]) -> list[int]:
    return draw(TopSegments(q), measured[-1].segments.stop, bytes(32), b"", measured)


# --- what is chosen ----------------------------------------------------------------------------------------------


def test_the_largest_of_every_epoch_are_chosen() -> None:
    measured = stretches(1.0, 3.0, 2.0, 0.0, 9.0, 7.0, 8.0, 6.0, 0.1)
    assert top(1, measured) == [1, 4, 8]
    assert top(2, measured) == [1, 2, 4, 6, 8]
    assert top(10**9, measured) == list(range(9))


def test_of_equal_ones_the_earlier_is_chosen() -> None:
    assert top(1, stretches(0.0, 0.0, 0.0, 0.0)) == [0]
    assert top(2, stretches(1.0, 2.0, 1.0, 1.0)) == [0, 1]


@pytest.mark.parametrize("size", [NAN, INF, -NAN])
def test_what_is_no_number_is_the_largest(size: float) -> None:
    assert top(1, stretches(1.0, 1e308, size, 2.0)) == [2]
    assert top(2, stretches(NAN, 1e308, size, INF)) == [0, 2]


def test_segments_between_two_checkpoints_are_chosen_together() -> None:
    measured = [Stretch(range(0, 3), 0, 1.0), Stretch(range(3, 4), 0, 0.5), Stretch(range(4, 9), 1, 0.0)]
    assert top(1, measured) == [0, 1, 2, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("measured", [[], stretches(1.0), stretches(1.0, 2.0, 3.0, 4.0), stretches(1.0, 2.0, 3.0)[1:]])
def test_a_draw_without_all_magnitudes_is_no_draw(measured: list[Stretch]) -> None:
    for policy in (TopSegments(1), JointSegments(1)):
        with pytest.raises(ValueError, match="magnitudes of 3 segments"):
            draw(policy, 3, bytes(32), b"", measured)


def test_only_the_random_part_depends_on_the_nonce() -> None:
    measured = stretches(*map(float, range(100)), epoch=50)
    joint, drawn = JointSegments(1, confidence=0.5, fraction=0.05), set[tuple[int, ...]]()
    for at in range(5):
        nonce = bytes([at])
        assert draw(TopSegments(1), 100, bytes(32), nonce, measured) == [49, 99]
        drawn.add(tuple(draw(joint, 100, bytes(32), nonce, measured)))
    assert len(drawn) == 5
    assert all({49, 99} <= set(each) for each in drawn)


# --- what would check nothing, or is hostile -----------------------------------------------------------------------


def test_no_metric_and_no_share(plain_proof: Path) -> None:
    for policy in (TopSegments(1, "l3"), JointSegments(1, "")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="expected one of l1, l2, linf, cosine"):
            check_policy(policy)
    with pytest.raises(UsageError, match="between 0 and 1"):
        pol_jax.verify(plain_proof, tiny.plain().source, policy=JointSegments(1, fraction=1.0))


# --- what a report says of it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "replayed", "count"),
    [
        (AllSegments(), 100, 100),
        (RandomSegments(), 59, 59),
        (ListedSegments((1, 2)), 2, 0),
        (ListedSegments((1, 2)), 100, 100),
        (TopSegments(2), 2, 0),
        (TopSegments(2), 100, 100),
        (JointSegments(9), 65, 59),
        (JointSegments(9), 0, 0),
        (JointSegments(9), 100, 100),
        (RandomSteps(), 61, 59),
        (RandomSteps(), 58, 58),
        (RandomSteps(), 100, 100),
        (ListedSteps((1, 100)), 2, 0),
    ],
)
def test_only_what_chance_chose_counts(policy: Policy | StepPolicy, replayed: int, count: int) -> None:
    assert by_chance(policy, 100, replayed) == count


def test_draws_are_those_of_the_vectors() -> None:
    for vector in vectors("challenge")["needed"]:
        confidence, fraction = second.number(vector["confidence"]), second.number(vector["fraction"])
        assert second.sample_size(vector["segments"], confidence, fraction) == vector["drawn"]
    for vector in vectors("challenge")["draws"]:
        claim, nonce = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"])
        version = second.version_of(vector)
        drawn = second.draw(claim, nonce, json.loads(vector["policy"]), vector["segments"], version=version)
        assert drawn == vector["drawn"]
    for vector in vectors("challenge")["ranked"]:
        claim, nonce, policy = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"]), vector["policy"]
        version = second.version_of(vector)
        drawn = second.draw(claim, nonce, json.loads(policy), vector["segments"], vector["stretches"], version)
        assert drawn == vector["drawn"], policy
    for vector in vectors("challenge")["steps"]:
        claim, nonce, policy = bytes.fromhex(vector["claim"]), bytes.fromhex(vector["nonce"]), vector["policy"]
        drawn = second.draw_steps(claim, nonce, json.loads(policy), vector["steps"], second.version_of(vector))
        assert drawn == vector["drawn"], policy


@law(40)
@given(st.integers(1, 500), _digest, st.binary(max_size=40))
def test_draws_are_distinct_segments_and_those_of_the_second_implementation(
    segments: int, claim: bytes, nonce: bytes
) -> None:
    policy = RandomSegments(confidence=0.9, fraction=0.1)
    drawn = draw(policy, segments, claim, nonce)
    assert drawn == second.draw(claim, nonce, json.loads(encode(policy)), segments)
    assert drawn == sorted(set(drawn))
    assert set(drawn) <= set(range(segments))


@law(100)
@given(st.integers(1, 60), st.integers(1, 5), st.sampled_from(METRICS), _digest, st.binary(max_size=8), st.data())
def test_ranked_draws_are_those_of_the_second_implementation(
    segments: int, q: int, metric: Metric, claim: bytes, nonce: bytes, data: st.DataObject
) -> None:
    sizes = st.sampled_from([0.0, 0.5, 1.0, math.inf, math.nan])
    stretches, epoch, start = [], 0, 0
    while start < segments:
        stop = min(segments, start + data.draw(st.integers(1, 3)))
        stretches.append(Stretch(range(start, stop), epoch, data.draw(sizes)))
        start, epoch = stop, epoch + data.draw(st.integers(0, 1))
    plain = [(each.segments.start, each.segments.stop, each.epoch, each.magnitude) for each in stretches]
    top, joint = TopSegments(q, metric), JointSegments(q, metric, confidence=0.5, fraction=0.2)
    for policy in (top, joint):
        drawn = draw(policy, segments, claim, nonce, stretches)
        assert drawn == second.draw(claim, nonce, json.loads(encode(policy)), segments, plain)
    assert set(drawn) >= set(draw(top, segments, claim, nonce, stretches))
    assert set(drawn) >= second.random_segments(claim, nonce, json.loads(encode(joint)), segments)


def test_random_steps_are_a_function_of_claim_nonce_and_policy() -> None:
    drawn = draw_steps(RandomSteps(), 1000, b"c" * 32, b"n")
    assert drawn == draw_steps(RandomSteps(), 1000, b"c" * 32, b"n") == sorted(set(drawn))
    assert len(drawn) == 86  # 99% sure to meet one of 50 false among 1000
    assert set(drawn) <= set(range(1, 1001))
    others = [(b"d" * 32, b"n", RandomSteps()), (b"c" * 32, b"m", RandomSteps()), (b"c" * 32, b"n", RandomSteps(0.98))]
    assert all(draw_steps(policy, 1000, claim, nonce) != drawn for claim, nonce, policy in others)


@law(40)
@given(st.integers(1, 500), _digest, st.binary(max_size=8))
def test_a_challenge_of_random_steps_asks_for_both_ends(steps: int, claim: bytes, nonce: bytes) -> None:
    policy = RandomSteps(confidence=0.9, fraction=0.1)
    plain = json.loads(encode(policy))
    drawn, asked = draw_steps(policy, steps, claim, nonce), challenged_steps(policy, steps, claim, nonce)
    assert asked == sorted({1, steps, *drawn}) == second.challenged_steps(claim, nonce, plain, steps)
    assert by_chance(policy, steps, len(asked)) == (steps if len(asked) == steps else len(drawn))


def test_listed_steps_are_taken_as_they_are() -> None:
    assert challenged_steps(ListedSteps((7, 3, 7)), 8, b"c" * 32, b"") == [3, 7]


@pytest.mark.parametrize("policy", [ListedSteps(()), ListedSteps((0,)), ListedSteps((9,)), RandomSteps(fraction=1.0)])
def test_challenge_that_would_check_nothing(policy: ListedSteps | RandomSteps) -> None:
    with pytest.raises(UsageError):
        draw_steps(policy, 8, b"c" * 32, b"n")
