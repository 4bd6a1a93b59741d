"""Policies that rank updates: what they choose, what they measure, and whom they meet."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.judging.coverage import covered
from pol_jax.judging.replayed import Replayed
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import (
    METRICS,
    AllSegments,
    JointSegments,
    ListedSegments,
    Metric,
    Policy,
    RandomSegments,
    Stretch,
    TopSegments,
    by_chance,
    check_policy,
    draw,
)
from pol_jax.protocol.distances import distance
from pol_jax.protocol.sampling import detection_probability
from pol_jax.protocol.spans import Piece, Segments
from pol_jax.protocol.trees import LeafSpec, StateSpec
from pol_jax.reports.report import Report
from pol_jax.sandbox import messages
from pol_jax.storage.checkpoints import checkpoint_name
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.update_sizes import magnitudes, measure

Verify = Callable[..., Report]

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


@pytest.mark.parametrize("q", [0, -1, 1.0, True, "1", None, NAN, 2**53])
def test_no_number_of_segments(q: object) -> None:
    for policy in (TopSegments(q), JointSegments(q)):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="top-q: expected a whole number"):
            check_policy(policy)


def test_no_metric_and_no_share(plain_proof: Path) -> None:
    for policy in (TopSegments(1, "l3"), JointSegments(1, "")):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="expected one of l1, l2, linf, cosine"):
            check_policy(policy)
    with pytest.raises(UsageError, match="between 0 and 1"):
        pol_jax.verify(plain_proof, tiny.plain().source, policy=JointSegments(1, fraction=1.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": "top"},
        {"policy": "top", "q": 0},
        {"policy": "top", "q": 1.5},
        {"policy": "top", "q": True},
        {"policy": "top", "q": 1, "metric": "L2"},
        {"policy": "top", "q": 1, "confidence": 0.5},
        {"policy": "joint", "q": 1, "confidence": 1.0},
        {"policy": "joint", "q": -1},
        {"policy": "best", "q": 1},
    ],
)
def test_messages_hold_policies_and_nothing_else(wrong: dict[str, object]) -> None:
    request = messages.Request("proof", TopSegments(2, "linf"), b"n", {}, None, None)
    content = msgspec.msgpack.encode(request)
    assert msgspec.msgpack.decode(content, type=messages.Request) == request
    changed = msgspec.msgpack.decode(content) | {"policy": wrong}
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(changed), type=messages.Request)


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
    ],
)
def test_only_what_chance_chose_counts(policy: Policy, replayed: int, count: int) -> None:
    assert by_chance(policy, 100, replayed) == count


def test_detection_is_that_of_the_random_part() -> None:
    segments = Segments(600, 6)
    pieces = [Piece(*segments.bounds(at), (at,)) for at in range(65)]
    replayed = [Replayed(6 * at, 6 * at + 6) for at in range(65)]
    joint = covered(JointSegments(9, fraction=0.1), pieces, replayed, segments)
    count = by_chance(JointSegments(9, fraction=0.1), 100, 65)
    assert (joint.fraction, joint.detection) == (0.1, detection_probability(100, 10, count))
    assert 0.99 <= joint.detection < detection_probability(100, 10, 65)
    assert covered(TopSegments(9), pieces, replayed, segments).detection == 0.0


# --- magnitudes --------------------------------------------------------------------------------------------------


def spec_of(**dtypes: str) -> StateSpec:
    return tuple(LeafSpec(f"/{name}", dtype, (2,), (1,), None) for name, dtype in dtypes.items())


def test_distances_of_a_small_update() -> None:
    spec = spec_of(a="float32", b="bfloat16")
    before = [np.array([1, 2], np.float32), np.array([0, 2], jnp.bfloat16)]
    after = [np.array([4, 2], np.float32), np.array([0, -2], jnp.bfloat16)]
    sizes = {metric: distance(spec, before, after, metric) for metric in METRICS}
    assert sizes == {"l1": 7.0, "l2": 5.0, "linf": 4.0, "cosine": 1 - 4 / (math.sqrt(9) * math.sqrt(24))}


@pytest.mark.parametrize("metric", METRICS)
def test_other_leaves_are_left_out(metric: Metric) -> None:
    spec = spec_of(n="int32", k="uint32", b="bool", c="complex64")
    spec = tuple(msgspec.structs.replace(leaf, prng="threefry2x32") if leaf.path == "/k" else leaf for leaf in spec)
    before = [np.zeros(2, leaf.dtype) for leaf in spec]
    assert distance(spec, before, [array + np.ones(2, array.dtype) for array in before], metric) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("both", [True, False])
def test_what_is_not_finite_has_no_finite_distance(metric: Metric, value: float, both: bool) -> None:
    before, after = np.array([value if both else 1, 1], np.float32), np.array([value, 1], np.float32)
    assert not math.isfinite(distance(spec_of(a="float32"), [before], [after], metric))


@pytest.mark.parametrize(("before", "after", "expected"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 2, 0), (1, -1, 2)])
def test_cosine_distance(before: float, after: float, expected: float) -> None:
    states = ([np.full(2, value, np.float32)] for value in (before, after))
    assert distance(spec_of(a="float32"), *states, "cosine") == pytest.approx(expected)


def test_every_segment_of_a_proof_is_measured(plain_proof: Path) -> None:
    proof = open_proof(plain_proof)
    measured = measure(proof, "l2", Silent())
    assert [each.segments for each in measured] == [range(at, at + 1) for at in range(4)]
    assert [each.epoch for each in measured] == [0, 0, 1, 1]  # first records at the places 0, 24, 48, 72 of 40
    states = [proof.state(step) for step in (0, 6, 12, 18, 24)]
    vectors = [
        np.concatenate([np.asarray(x, np.float64).ravel() for x in (s["params"]["b"], s["params"]["w"], s["momentum"])])
        for s in states
    ]
    expected = [np.linalg.norm(b - a) for a, b in pairwise(vectors)]
    np.testing.assert_allclose([each.magnitude for each in measured], expected, rtol=1e-12)


def test_where_a_checkpoint_is_absent_its_neighbours_are_measured(proof_copy: Path) -> None:
    spec = open_proof(proof_copy).commitment.state
    shutil.rmtree(proof_copy / checkpoint_name(12))
    measured = measure(open_proof(proof_copy), "l1", Silent())
    assert [(each.segments, each.epoch) for each in measured] == [(range(1), 0), (range(1, 3), 0), (range(3, 4), 1)]
    assert [each.magnitude for each in measured] == magnitudes(proof_copy, spec, [0, 6, 18, 24], "l1")
    assert magnitudes(proof_copy, spec, [6], "l1") == []


# --- from end to end, and whom it meets ----------------------------------------------------------------------------


@pytest.fixture
def forger(proof_copy: Path) -> Forger:
    return Forger(proof_copy)


@pytest.mark.parametrize("policy", [TopSegments(1), JointSegments(1, "cosine", confidence=0.2, fraction=0.2)])
def test_an_honest_proof_is_accepted(plain_proof: Path, policy: Policy) -> None:
    """In a process of its own, so that policy and report cross the pipe."""
    report = pol_jax.verify(plain_proof, tiny.plain().source, policy=policy, nonce=b"n")
    assert report
    assert report.policy == policy
    assert report.coverage is not None
    assert (report.coverage.detection == 0) == isinstance(policy, TopSegments)
    assert msgspec.json.decode(report.to_json(), type=Report) == report


@pytest.mark.parametrize("metric", ["l1", "l2", "linf"])
@pytest.mark.parametrize("value", [100.0, NAN])
def test_a_huge_false_update_is_met(forger: Forger, verify_plain: Verify, metric: Metric, value: float) -> None:
    """The state after step 12 comes from nowhere; what follows was truly trained from it."""
    leaves = [leaf + np.float32(value) if leaf.dtype == np.float32 else leaf for leaf in forger.states[12]]
    forger.train_on(tiny.plain().source, 12, 24, leaves)
    forger.write()
    report = verify_plain(forger.root, policy=TopSegments(1, metric))
    refused(report, 9, "steps 7 to 12: step 12", "state_digest")
    assert report.coverage is not None
    assert 1 in report.coverage.replayed
    assert len(report.coverage.replayed) == 2


def test_a_small_false_update_is_met_by_chance_only(forger: Forger, verify_plain: Verify) -> None:
    """The known blind spot of the rule, and why there is a policy that also draws."""
    measured = measure(open_proof(forger.root), "l2", Silent())
    false = min({1, 2, 3} - set(top(1, measured)))  # the self-test meets what is false in segment 0
    stop = 6 * false + 6
    forger.train_on(tiny.plain().source, stop, 24, forger.perturbed(stop))
    forger.write()
    report = verify_plain(forger.root, policy=TopSegments(1))
    assert report
    assert report.coverage is not None
    assert report.coverage.detection == 0
    refused(verify_plain(forger.root, policy=JointSegments(1)), 9, f"steps {stop - 5} to {stop}: step {stop}")
