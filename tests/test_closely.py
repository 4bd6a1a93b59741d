"""Proofs whose bits differ here: judged within a tolerance, from checkpoint to checkpoint; what that leaves room for.

Honest other backends are other compilations of the same step, with which a proof is trained again.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused, undecided

from pol_jax import Choices, train
from pol_jax.judging.drift import LARGEST_SHARE, Course, drift_of, infinitesimal, tolerated, too_far
from pol_jax.judging.leaf_distances import FALSE, SAFETY, SMALL
from pol_jax.judging.tolerance import compare, with_losses
from pol_jax.protocol.challenge import AllSegments, JointSegments, ListedSegments, Policy, RandomSegments
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.curves import Update
from pol_jax.reports.report import Compared, Outcome, Report, Verdict
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.compilations import Variant, variants
from pol_jax.verifying.proof_verifier import verify

NO_FUSION = next(each for each in variants("cpu") if each.name == "no fusion")
SOURCE = tiny.linen().source


def abroad(forger: Forger, source: object, variant: Variant = NO_FUSION) -> Path:
    """The proof as another backend would have made it, from the same initial state."""
    forger.train_on(source, 0, forger.claim.steps, forger.states[0], variant)
    forger.write()
    return forger.root


@pytest.fixture(scope="module")
def linen_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("linen") / "proof"
    train(tiny.linen(steps=12), root, choices=Choices(seed="abroad"))
    return root


@pytest.fixture
def forger(linen_proof: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(linen_proof, tmp_path / "copy")))


def check(root: Path, policy: Policy | None = None, **options: object) -> Report:
    return verify(root, SOURCE, policy=policy or AllSegments(), nonce=b"n", **options)


# --- a proof's directory -----------------------------------------------------------------------------------------


def test_proof_of_another_backend_is_accepted(forger: Forger) -> None:
    report = check(abroad(forger, SOURCE))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert report.self_test is not None
    assert report.self_test.mismatch is not None
    assert [(each.start, each.stop, each.segments, each.outcome) for each in report.compared] == [
        (0, 6, (0,), Outcome.PASSED),
        (6, 12, (1,), Outcome.PASSED),
    ]
    assert all(0 < each.error <= each.allowed for each in report.compared)
    assert [stage.outcome for stage in report.stages] == [Outcome.PASSED] * 9
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed, report.coverage.detection) == ((0, 1), 12, 1.0)


def test_false_state_of_another_backend_is_rejected(forger: Forger) -> None:
    abroad(forger, SOURCE)
    last = [leaf + leaf.dtype.type(0.5) if leaf.ndim == 2 else leaf for leaf in forger.states[12]]
    forger.set_state(12, last)
    forger.write()
    report = check(forger.root)
    refused(report, 9, "steps 7 to 12 are not what this machine gives")
    assert [each.outcome for each in report.compared] == [Outcome.PASSED, Outcome.FAILED]


def test_only_what_was_compared_is_covered(forger: Forger) -> None:
    report = check(abroad(forger, SOURCE), ListedSegments((1,)))
    assert report.verdict is Verdict.ACCEPTED
    assert report.coverage is not None
    assert (report.coverage.replayed, report.coverage.steps_replayed, report.coverage.detection) == ((1,), 6, 0.0)


def test_thinned_proof_is_compared_from_checkpoint_to_checkpoint(forger: Forger) -> None:
    abroad(forger, SOURCE)
    shutil.rmtree(forger.root / "checkpoints" / f"{6:010d}")
    del forger.states[6]
    forger.write()
    report = check(forger.root, ListedSegments((0,)))
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    assert [(each.start, each.stop, each.segments) for each in report.compared] == [(0, 12, (0,))]


def test_other_records_are_noticed_while_comparing(forger: Forger) -> None:
    abroad(forger, SOURCE)
    report = verify(forger.root, tiny.Arrays(tiny.points(seed=2)), policy=ListedSegments((1,)), nonce=b"n")
    undecided(report, "record", "is not the committed one")


def chaotic(steps: int = 60) -> Task:
    """The logistic map: what the first step rounds, the sixtieth has everywhere."""

    def init(key: Key) -> PyTree:
        return {"x": jax.random.uniform(key, (64,), minval=0.1, maxval=0.9)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        x = state["x"]
        moved = 3.9 * x * (1 - x) + 1e-6 * jnp.sin(batch["x"].sum()) + 0 * jnp.exp(-x / 3).sum() / x.size
        return {"x": moved}, {"loss": moved.mean()}

    return Task("chaotic", init, step, SOURCE, batch_size=4, steps=steps, interval=steps)


def test_chaos_is_neither_accepted_nor_rejected(tmp_path: Path) -> None:
    """A true start of the last digits: where errors grow by themselves, no state is called false, and none true."""
    root = tmp_path / "proof"
    train(chaotic(), root, choices=Choices(seed="chaos"))
    forger = Forger(root)
    x = forger.states[0][0]
    forger.train_on(
        SOURCE, 0, 60, [np.nextafter(x, np.float32(2))]
    )  # as a backend that rounds the first step otherwise
    forger.set_state(0, [x])
    forger.write()
    report = check(root)
    undecided(report, "steps 1 to 60 can't be judged here")
    assert any("ask for an opening" in reason for reason in report.reasons)


# --- rules -------------------------------------------------------------------------------------------------------

SPEC = (LeafSpec("/0", "float64", (100,), (1,), None),)


def stretch(error: float, noise: float, shaken: float | None) -> Outcome:
    """The outcome for states with an update of 1 whose error, noise and shaken distance are given, as shares of it."""
    draw = np.random.default_rng(0)

    def off(share: float) -> list[np.ndarray]:
        direction = draw.normal(size=100)
        return [reference[0] + share * direction / np.linalg.norm(direction)]

    before = [np.zeros(100)]
    reference = [np.full(100, 0.1)]
    others = [off(noise), off(noise)]
    moved = None if shaken is None else off(shaken)
    return compare(before, off(error), reference, others, SPEC, moved).outcome


def test_what_a_shaken_start_explains_is_not_false() -> None:
    error = 10 * FALSE * SMALL
    assert stretch(error, 1e-7, None) is Outcome.FAILED
    assert stretch(error, 1e-7, error / SAFETY / 2) is Outcome.FAILED
    assert stretch(error, 1e-7, 2 * error / SAFETY) is Outcome.INCONCLUSIVE


def test_a_shaken_start_lets_nothing_pass() -> None:
    assert stretch(SMALL / 2, 1e-7, 1.0) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("error", "noise", "outcome"),
    [
        (0.01 * SMALL, 0.02 * SMALL, Outcome.PASSED),
        (0.01 * SMALL, 0.2 * SMALL, Outcome.INCONCLUSIVE),  # ten times the noise is beyond the limit
        (1.5 * SMALL, 0.2 * SMALL, Outcome.INCONCLUSIVE),
        (0.1 * SMALL, 2.0 * SMALL, Outcome.INCONCLUSIVE),
        (0.9, 0.2 * SMALL, Outcome.FAILED),
    ],
)
def test_tolerance_and_error_stay_within_the_limit(error: float, noise: float, outcome: Outcome) -> None:
    assert stretch(error, noise, None) is outcome


def test_a_loss_that_chaos_explains_is_not_false() -> None:
    state = [np.full(100, 0.1)]
    found = compare([np.zeros(100)], state, state, [state, state], SPEC)
    own = [[np.float32(1.0)]] * 3
    assert with_losses(found, [np.float32(1.1)], own).outcome is Outcome.FAILED
    assert with_losses(found, [np.float32(1.1)], own, [np.float32(1.02)]).outcome is Outcome.INCONCLUSIVE


# --- drift -------------------------------------------------------------------------------------------------------


def course(*sizes: float) -> Course:
    """A course along a line, by steps of these sizes, a checkpoint every 10 steps."""
    found, at = Course((LeafSpec("", "float64", (1,), (1,), None),)), 0.0
    found.add(0, [np.array([0.0])])
    for place, size in enumerate(sizes, 1):
        at += size
        found.add(10 * place, [np.array([at])])
    return found


def test_a_course_has_updates_and_a_distance() -> None:
    found = course(3.0, -1.0, 2.0)
    assert [(each.start, each.stop, each.magnitude) for each in found.updates] == [(0, 10, 3), (10, 20, 1), (20, 30, 2)]
    assert found.distance == 4.0
    assert course().distance is None
    assert course(math.nan).updates == [Update(0, 10, None)]


def test_unchecked_updates_add_up() -> None:
    """All of them, where the prover foresees what is checked; the largest that a draw may have missed, else."""
    steps = course(*(float(size) for size in range(1, 11)))
    checked = [Span(0, 10), Span(90, 100)]
    listed = drift_of(steps, ListedSegments((0, 9)), 10, checked, (), 100, None)
    assert (listed.unchecked, listed.confidence, listed.path, listed.tolerated) == (44.0, None, 55.0, 0.0)
    drawn = drift_of(steps, RandomSegments(0.9, 0.35), 10, checked, (), 100, None)
    assert (drawn.unchecked, drawn.confidence) == (9.0 + 8.0 + 7.0, 0.9)  # with 4 of 10 false, 90% sure to meet one
    whole = drift_of(steps, AllSegments(), 10, [Span(0, 100)], (), 100, None)
    assert (whole.unchecked, whole.confidence) == (0.0, None)
    assert drift_of(steps, JointSegments(1, "l2", 0.9, 0.05), 10, checked, (), 100, None).unchecked == 0.0


def test_an_update_without_a_size_bounds_nothing() -> None:
    found = drift_of(course(1.0, math.nan, 1.0), ListedSegments((0,)), 3, [Span(0, 10)], (), 30, None)
    assert (found.unchecked, found.path) == (None, None)


def test_infinitesimal_updates_are_counted() -> None:
    assert infinitesimal([1.0, 2.0, 1.5, 1e-9, None]) == 1
    assert infinitesimal([]) == 0


def compared(start: int, stop: int, tolerance: float, limit: float, outcome: Outcome = Outcome.PASSED) -> Compared:
    return Compared(start, stop, outcome, (), 1.0, 0.0, tolerance, limit, 0.0, 0.0, 0.0, 0.0, False)


def test_tolerances_add_up_over_the_run() -> None:
    passed = [compared(-1, 0, 9, 9), compared(0, 1, 0.5, 0.1), compared(7, 8, 0.2, 0.4)]
    assert tolerated(passed, 100) == pytest.approx((0.1 + 0.2) / 2 * 100)
    assert tolerated([compared(0, 1, 1.0, 1.0, Outcome.INCONCLUSIVE)], 100) is None
    assert tolerated([], 100) == 0
    found = drift_of(course(3.0), AllSegments(), 1, [], passed, 100, None)
    assert too_far(found) is not None
    assert too_far(msgspec.structs.replace(found, tolerated=LARGEST_SHARE * 3.0)) is None
    assert too_far(msgspec.structs.replace(found, tolerated=LARGEST_SHARE * 3.0, d_ref=2.9)) is not None
    assert too_far(msgspec.structs.replace(found, distance=None)) is None


def test_nothing_is_accepted_where_tolerances_may_add_up_to_much(forger: Forger) -> None:
    root = abroad(forger, SOURCE)
    report = check(root, d_ref=1e-9)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "tolerances add up to" in report.reasons[0]
    assert report.drift is not None
    assert report.drift.d_ref == 1e-9


def test_bits_need_no_tolerance(linen_proof: Path) -> None:
    report = check(linen_proof, d_ref=1e-9)
    assert report.verdict is Verdict.ACCEPTED
    assert report.drift is not None
    assert (report.drift.tolerated, report.drift.unchecked, report.drift.updates) == (0.0, 0.0, 2)


@pytest.mark.parametrize(("ulps", "outcome"), [(0, Outcome.PASSED), (1, Outcome.INCONCLUSIVE)])
def test_a_leaf_with_the_bits_of_the_reference_needs_no_tolerance(ulps: int, outcome: Outcome) -> None:
    """Small updates of large values: a thousandth of them is less than one unit in the last place."""
    spec = (LeafSpec("/large", "float32", (50,), (1,), None), LeafSpec("/small", "float32", (50,), (1,), None))
    before = [np.zeros(50, np.float32), np.ones(50, np.float32)]
    after = [np.ones(50, np.float32), np.full(50, 1 + 2**-20, np.float32)]
    other = [after[0], after[1].copy()]
    other[1][3] -= np.float32(2**-23)
    committed = [after[0], after[1].copy()]
    committed[1][7] += np.float32(ulps * 2**-23)
    found = compare(before, committed, after, [other, other], spec)
    assert found.leaves[1].distances.limit < found.leaves[1].distances.tolerance
    assert found.outcome is outcome, found.reasons


def test_records_of_a_comparison_are_the_committed_ones(forger: Forger) -> None:
    """Where the self-test leaves no hope nothing else is replayed, and a comparison has to look itself."""
    abroad(forger, SOURCE)
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, device_kind="abacus"))
    early = {int(index) for row in forger.rows[1:7] for index in row.indices}
    late = next(int(index) for row in forger.rows[7:] for index in row.indices if int(index) not in early)
    points = {name: leaf.copy() for name, leaf in tiny.points().items()}
    points["x"][late] += 1
    report = verify(forger.root, tiny.Arrays(points), policy=ListedSegments((1,)), nonce=b"n")
    assert report.replays == ()
    undecided(report, f"record {late} of the source is not the committed one")
