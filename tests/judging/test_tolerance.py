"""The laws of a comparison within a tolerance, on made-up states."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_steps import FAILED, INCONCLUSIVE, PASSED, Step, made, spec_of, with_leaf

from pol_jax.judging.leaf_distances import FAILURE_FACTOR, LIMIT_SHARE, SAFETY_FACTOR
from pol_jax.judging.leaf_judgement import LeafComparison, judge_leaf
from pol_jax.judging.leaf_results import LeafResults
from pol_jax.judging.tolerance import StepComparison, with_metric
from pol_jax.protocol.trees import LeafSpec
from pol_jax.reports.outcomes import Outcome


def test_an_honest_step_passes() -> None:
    found = made().compared()
    assert found.outcome is PASSED
    assert 0 < found.total.relative_error < 1e-5
    assert found.total.tolerance == SAFETY_FACTOR * found.total.noise
    assert found.total.clearance > 1e5
    assert not found.total.infinitesimal
    assert [leaf.outcome for leaf in found.leaves] == [PASSED] * 3


@given(
    noise=st.floats(0, 1e3),
    update=st.floats(1e-9, 1e3),
    seed=st.integers(0, 99),
    direction=st.integers(0, 99),
    claimed=st.floats(1e-6, 1e6),
    dtype=st.sampled_from(["float16", "bfloat16", "float32", "float64", "float8_e5m2"]),
)
def test_a_step_that_is_off_by_its_update_never_passes(
    noise: float, update: float, seed: int, direction: int, claimed: float, dtype: str
) -> None:
    """Whatever the noise, and whatever the size of the update that the forger claims."""
    step = made(noise=noise, update=update, dtypes=(dtype,) * 3, seed=seed)
    draw = np.random.default_rng(direction)
    with np.errstate(over="ignore"):
        after = [(a.astype(float) + claimed * draw.normal(size=a.shape)).astype(a.dtype) for a in step.before]
    found = step.compared(after=after)
    assume(found.total.error >= found.total.update)
    assert found.outcome is not PASSED
    assert step.compared(after=step.before).outcome is not PASSED


@given(noise=st.floats(0, 10), seed=st.integers(0, 99), share=st.floats(-2, 3))
def test_nothing_passes_beyond_the_limit(noise: float, seed: int, share: float) -> None:
    """A state elsewhere on the line from before to after."""
    step = made(noise=noise, seed=seed)
    after = [a + share * (b - a) for a, b in zip(step.before, step.reference, strict=True)]
    found = step.compared(after=after)
    if found.outcome is PASSED:
        assert abs(share - 1) <= 2 * LIMIT_SHARE
        assert found.total.error <= found.total.tolerance <= found.total.limit
    if abs(share - 1) > 0.01 and noise < 1e-6:
        assert found.outcome is FAILED


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.01, -1.0])
def test_interpolated_and_scaled_updates_fail(share: float) -> None:
    step = made()
    after = [a + share * (b - a) for a, b in zip(step.before, step.after, strict=True)]
    assert step.compared(after=after).outcome is FAILED


@pytest.mark.parametrize("noise", [1e-3, 1e-2, 0.1])
def test_noise_near_the_update_is_inconclusive(noise: float) -> None:
    assert made(noise=noise).compared().outcome is INCONCLUSIVE


def test_an_error_between_tolerance_and_limit_is_inconclusive() -> None:
    step = made()
    after = [a + (1 + LIMIT_SHARE / 2) * (b - a) for a, b in zip(step.before, step.reference, strict=True)]
    found = step.compared(after=after)
    assert found.total.tolerance < found.total.error < found.total.limit
    assert found.outcome is INCONCLUSIVE


def test_a_small_leaf_does_not_drown_in_the_total() -> None:
    step = made()
    small = [
        [array * (1e-9 if at == 1 else 1) for at, array in enumerate(state)] for state in (step.before, step.after)
    ]
    own = [with_leaf(state, 1, state[1] * 1e-9) for state in (step.reference, *step.others)]
    honest = replace(step, before=small[0], after=small[1], reference=own[0], others=own[1:])
    assert honest.compared().outcome is PASSED
    found = honest.compared(after=with_leaf(small[1], 1, small[0][1]))
    assert found.total.relative_error < LIMIT_SHARE
    assert found.outcome is FAILED
    assert [leaf.outcome for leaf in found.leaves] == [PASSED, FAILED, PASSED]
    assert found.reasons[0].startswith("leaf /1: ")


def test_a_leaf_whose_update_is_skipped_fails() -> None:
    step = made()
    assert step.compared(after=with_leaf(step.after, 1, step.before[1])).leaves[1].outcome is FAILED


def test_a_leaf_that_only_the_noise_moves_does_not_hinder() -> None:
    step, draw = made(), np.random.default_rng(7)
    states = [with_leaf(s, 0, step.before[0] + 1e-9 * draw.normal(size=50)) for s in (step.reference, *step.others)]
    after = with_leaf(step.after, 0, step.before[0] + 1e-9 * draw.normal(size=50))
    found = step.compared(reference=states[0], others=states[1:], after=after)
    assert found.outcome is PASSED
    assert found.leaves[0].distances is not None
    assert found.leaves[0].distances.infinitesimal


def test_a_step_that_moves_nothing_proves_nothing() -> None:
    step = made()
    found = step.compared(after=step.before, reference=step.before, others=[step.before] * 2)
    assert found.outcome is INCONCLUSIVE
    assert found.total.infinitesimal
    assert found.total.clearance == 0
    tiny_update = made(update=1e-17)
    assert tiny_update.compared().outcome is INCONCLUSIVE


@pytest.mark.parametrize("others", [0, 1])
def test_too_few_compilations_decide_nothing(others: int) -> None:
    step = made()
    assert step.compared(others=step.others[:others]).outcome is INCONCLUSIVE
    assert step.compared(others=step.others[:others], after=step.before).outcome is INCONCLUSIVE


def test_without_noise_one_unit_in_the_last_place_passes() -> None:
    step = made(dtypes=("float32",) * 3)
    ulp = [np.nextafter(leaf, np.float32(np.inf)) if at == 0 else leaf for at, leaf in enumerate(step.reference)]
    assert step.compared(others=[step.reference] * 2, after=ulp).outcome is PASSED


def test_a_state_without_floats_is_compared_exactly() -> None:
    before, after = [np.zeros(50, np.int32)], [np.ones(50, np.int32)]
    assert Step(before, after, [after] * 2, after, spec_of("int32")).judged().outcome is PASSED
    assert Step(before, after, [after] * 2, before, spec_of("int32")).judged().outcome is FAILED


def test_a_comparison_goes_into_json() -> None:
    content = msgspec.json.encode(made(dtypes=("float32", "int32")).compared())
    assert msgspec.json.decode(content)["outcome"] in set(Outcome)


SPEC = (LeafSpec("/0", "float64", (100,), (1,), None),)


def judged(error: float, noise: float, perturbed: float | None) -> Outcome:
    """The outcome for an update of 1; error, noise and the perturbed result's distance are shares of it."""
    draw = np.random.default_rng(0)

    def off(share: float) -> list[np.ndarray]:
        direction = draw.normal(size=100)
        return [reference[0] + share * direction / np.linalg.norm(direction)]

    before = [np.zeros(100)]
    reference = [np.full(100, 0.1)]
    others = [off(noise), off(noise)]
    moved = [] if perturbed is None else [off(perturbed)]
    return Step(before, reference, others, off(error), SPEC).judged(perturbed=moved).outcome


def test_what_a_perturbed_start_explains_is_not_false() -> None:
    error = 10 * FAILURE_FACTOR * LIMIT_SHARE
    assert judged(error, 1e-7, None) is Outcome.FAILED
    assert judged(error, 1e-7, error / SAFETY_FACTOR / 2) is Outcome.FAILED
    assert judged(error, 1e-7, 2 * error / SAFETY_FACTOR) is Outcome.INCONCLUSIVE


def test_a_perturbed_start_lets_nothing_pass() -> None:
    assert judged(LIMIT_SHARE / 2, 1e-7, 1.0) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("error", "noise", "outcome"),
    [
        (0.01 * LIMIT_SHARE, 0.02 * LIMIT_SHARE, Outcome.PASSED),
        (0.01 * LIMIT_SHARE, 0.2 * LIMIT_SHARE, Outcome.INCONCLUSIVE),  # ten times the noise is beyond the limit
        (1.5 * LIMIT_SHARE, 0.2 * LIMIT_SHARE, Outcome.INCONCLUSIVE),
        (0.1 * LIMIT_SHARE, 2.0 * LIMIT_SHARE, Outcome.INCONCLUSIVE),
        (0.9, 0.2 * LIMIT_SHARE, Outcome.FAILED),
    ],
)
def test_tolerance_and_error_stay_within_the_limit(error: float, noise: float, outcome: Outcome) -> None:
    assert judged(error, noise, None) is outcome


def test_a_loss_that_chaos_explains_is_not_false() -> None:
    state = [np.full(100, 0.1)]
    found = Step([np.zeros(100)], state, [state, state], state, SPEC).judged()
    own = [[np.float32(1.0)]] * 3
    assert with_metric(found, "loss", [np.float32(1.1)], own).outcome is Outcome.FAILED
    assert with_metric(found, "loss", [np.float32(1.1)], own, [[np.float32(1.02)]]).outcome is Outcome.INCONCLUSIVE


def with_after(step: Step, after: list[np.ndarray], noise_dominated: set[int] | None) -> StepComparison:
    return replace(step, after=after).judged(perturbed=[step.reference], noise_dominated=noise_dominated)


def test_only_a_leaf_that_noise_dominates_in_one_step_is_excused_in_several() -> None:
    step, draw = made(), np.random.default_rng(7)
    noisy = [with_leaf(s, 0, step.before[0] + 1e-9 * draw.normal(size=50)) for s in (step.reference, *step.others)]
    step = replace(step, reference=noisy[0], others=noisy[1:])
    after = with_leaf(step.after, 0, step.before[0] - 1e-10)
    assert with_after(step, after, None).outcome is PASSED
    assert with_after(step, after, {0}).outcome is PASSED
    assert with_after(step, after, set()).leaves[0].outcome is INCONCLUSIVE


def test_a_leaf_that_no_compilation_changes_keeps_its_bits_after_several_steps_too() -> None:
    step = made()
    still = [with_leaf(s, 0, step.before[0]) for s in (step.reference, *step.others)]
    step = replace(step, reference=still[0], others=still[1:])
    ulp = with_leaf(step.after, 0, np.nextafter(step.before[0], np.inf))
    assert with_after(step, ulp, set()).outcome is INCONCLUSIVE
    assert with_after(step, with_leaf(step.after, 0, step.before[0]), set()).outcome is PASSED


def losses(committed: float, *own: float, perturbed: float | None = None) -> StepComparison:
    found, moved = made().compared(), [np.float32(own[0] if perturbed is None else perturbed)]
    return with_metric(found, "loss", [np.float32(committed)], [[np.float32(each)] for each in own], [moved])


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_loss_that_is_not_always_a_number_here_is_not_passed(odd: float) -> None:
    """A program may give no number under fast math alone: then any loss would do."""
    assert losses(1.0, 1.0, 1.0, 1.0).outcome is PASSED
    assert losses(odd, odd, odd, odd).outcome is PASSED
    assert losses(7.0, 1.0, odd, 1.0).outcome is INCONCLUSIVE
    assert losses(1.0, odd, 1.0, 1.0).outcome is INCONCLUSIVE
    assert losses(odd, 1.0, 1.0, 1.0).outcome is FAILED
    assert losses(7.0, odd, odd, odd).outcome is FAILED


def test_a_perturbed_loss_that_is_no_number_hinders_a_failure_and_no_pass() -> None:
    assert losses(1.0, 1.0, 1.0, 1.0, perturbed=np.nan).outcome is PASSED
    assert losses(7.0, 1.0, 1.0, 1.0, perturbed=np.nan).outcome is INCONCLUSIVE
    assert losses(np.nan, 1.0, 1.0, 1.0, perturbed=np.nan).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("size", "outcome"), [(1e-38, INCONCLUSIVE), (1e-30, FAILED)])
@pytest.mark.parametrize("others", [0, 40])
def test_what_a_device_takes_for_zero_is_not_false(size: float, outcome: Outcome, others: int) -> None:
    """A decaying momentum that is subnormal: this machine has 0, the prover's keeps it; alone, or beside others."""
    before = np.append(np.full(40, size), np.ones(others)).astype(np.float32)
    reference, after = (np.append(np.full(40, x), np.full(others, 0.9)) for x in (0.0, 0.9 * size))
    own = reference.astype(np.float32)
    leaf = LeafResults(before=before, after=after.astype(np.float32), reference=own, others=[own, own])
    spec = LeafSpec("/momentum", "float32", before.shape, (1,), None)
    assert judge_leaf(spec, leaf, may_be_noise=True).outcome is outcome


def test_a_perturbed_state_that_is_lost_hinders_a_failure() -> None:
    step = made()
    lost = with_leaf(step.reference, 1, np.full(50, np.nan))

    def with_perturbed(after: list[np.ndarray], perturbed: list[np.ndarray]) -> StepComparison:
        return replace(step, after=after).judged(perturbed=[perturbed])

    wrong, struck = with_leaf(step.after, 1, step.before[1]), with_leaf(step.after, 1, np.full(50, np.nan))
    assert with_perturbed(wrong, step.reference).outcome is FAILED
    assert with_perturbed(wrong, lost).outcome is INCONCLUSIVE
    assert with_perturbed(struck, step.reference).outcome is FAILED
    assert with_perturbed(struck, lost).outcome is INCONCLUSIVE
    assert with_perturbed(step.after, lost).outcome is PASSED


def test_a_perturbed_integer_hinders_a_failure_and_no_pass() -> None:
    """Such as a count of right answers: a few more or less, where the state before is moved."""
    step = made(dtypes=("float64", "float64"))
    spec = (step.spec[0], msgspec.structs.replace(step.spec[1], dtype="int32"))
    count = np.arange(50, dtype=np.int32)
    own = [with_leaf(state, 1, count) for state in (step.reference, *step.others)]

    def counted(after: np.ndarray, perturbed: np.ndarray) -> StepComparison:
        before, moved = with_leaf(step.before, 1, count), with_leaf(step.reference, 1, perturbed)
        return Step(before, own[0], own[1:], with_leaf(step.after, 1, after), spec).judged(perturbed=[moved])

    assert counted(count, count + 1).outcome is PASSED
    assert counted(count + 2, count + 1).outcome is INCONCLUSIVE
    assert counted(count + 1, count).outcome is FAILED


def test_a_small_update_passes_below_the_last_place_of_a_large_element() -> None:
    """At the end of a schedule updates are tiny. An element's last place may be beyond a thousandth of them."""
    before = np.linspace(0.5, 4, 400, dtype=np.float32)
    reference = before - np.float32(1e-5) * np.sign(np.sin(np.arange(400, dtype=np.float32)))
    one = reference.copy()
    one[0] = np.nextafter(one[0], np.float32(1))

    def judge(after: np.ndarray) -> LeafComparison:
        spec = spec_of("float32", size=400)[0]
        results = LeafResults(before=before, after=after, reference=reference, others=[reference] * 4)
        return judge_leaf(spec, results, may_be_noise=True)

    found = judge(one)
    assert found.outcome is Outcome.PASSED
    assert found.distances is not None
    assert found.distances.error < found.distances.limit < SAFETY_FACTOR * found.distances.floor
    every = np.nextafter(reference, np.float32(9))
    assert judge(every).outcome is Outcome.INCONCLUSIVE  # a last place of each is beyond the limit


def test_what_a_last_place_does_is_a_tolerance_and_no_excuse() -> None:
    """Another library sums in another order. An error beyond the limit is not excused by what perturbations do."""
    before = np.linspace(0.5, 1, 400, dtype=np.float32)
    reference = before + np.float32(1e-2)
    moved = reference + np.float32(1e-4)  # by 256 last places, so that one does 4e-7

    def judge(error: float, perturbed: list[np.ndarray], rounded: int) -> LeafComparison:
        results = LeafResults(
            before=before,
            after=reference + np.float32(error),
            reference=reference,
            others=[reference] * 4,
            perturbed=perturbed,
            rounded=rounded,
        )
        return judge_leaf(spec_of("float32", size=400)[0], results, may_be_noise=True)

    assert judge(2e-6, [moved], 1).outcome is Outcome.PASSED
    assert judge(2e-6, [moved], 0).outcome is Outcome.INCONCLUSIVE
    assert judge(2e-5, [reference + np.float32(1e-2)], 1).outcome is Outcome.INCONCLUSIVE
    lost = np.full_like(reference, np.nan)
    assert judge(2e-6, [lost], 1).outcome is Outcome.INCONCLUSIVE
