"""The laws of a comparison within a tolerance, on made-up states and on steps of tiny tasks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from hypothesis import assume, given
from hypothesis import strategies as st

from pol_jax.errors import BackendError
from pol_jax.judging.leaf_distances import COARSE, SAFETY, SMALL, is_floating
from pol_jax.judging.tolerance import StepComparison, compare
from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, Program, Signature, load_program
from pol_jax.progress import Silent
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.proving.commit import Choices, write_commitment
from pol_jax.reports.report import Outcome
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.verifying.calibration import judge_stretch
from pol_jax.verifying.compilations import DEFAULT, Compilations, Variant, compile_step, compile_variants, variants

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
State = list[np.ndarray]


def spec_of(*dtypes: str, size: int = 50) -> tuple[LeafSpec, ...]:
    return tuple(LeafSpec(f"/{at}", dtype, (size,), (1,), None) for at, dtype in enumerate(dtypes))


@dataclass
class Step:
    """A made-up step: leaves of normal values, an update, and results that are off by noise."""

    before: State
    reference: State
    others: list[State]
    after: State
    spec: tuple[LeafSpec, ...]

    def compared(self, **changes: object) -> StepComparison:
        step = replace(self, **changes)
        return compare(step.before, step.after, step.reference, step.others, step.spec)


def made(
    *, noise: float = 1e-6, update: float = 0.1, dtypes: tuple[str, ...] = ("float64",) * 3, seed: int = 0
) -> Step:
    draw, spec = np.random.default_rng(seed), spec_of(*dtypes)

    def normal() -> State:
        return [draw.normal(size=leaf.shape) for leaf in spec]

    def cast(state: State) -> State:
        with np.errstate(over="ignore"):  # a state may be lost
            return [array.astype(DTYPES[leaf.dtype]) for leaf, array in zip(spec, state, strict=True)]

    before = normal()
    exact = [a + update * b for a, b in zip(before, normal(), strict=True)]
    results = [cast([a + update * noise * b for a, b in zip(exact, normal(), strict=True)]) for _ in range(4)]
    return Step(cast(before), results[0], results[1:3], results[3], spec)


def with_leaf(state: State, at: int, leaf: np.ndarray) -> State:
    return [leaf if i == at else old for i, old in enumerate(state)]


# Outcomes


def test_an_honest_step_passes() -> None:
    found = made().compared()
    assert found.outcome is PASSED
    assert 0 < found.total.relative_error < 1e-5
    assert found.total.tolerance == SAFETY * found.total.noise
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
        assert abs(share - 1) <= 2 * SMALL
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
    after = [a + (1 + SMALL / 2) * (b - a) for a, b in zip(step.before, step.reference, strict=True)]
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
    assert found.total.relative_error < SMALL
    assert found.outcome is FAILED
    assert [leaf.outcome for leaf in found.leaves] == [PASSED, FAILED, PASSED]
    assert found.reasons[0].startswith("leaf /1: ")


def test_a_frozen_leaf_stays() -> None:
    step = made()
    frozen = step.before[2]
    own = [with_leaf(state, 2, frozen) for state in (step.reference, *step.others)]
    step = replace(step, reference=own[0], others=own[1:], after=with_leaf(step.after, 2, frozen))
    assert step.compared().outcome is PASSED
    ulp = with_leaf(step.after, 2, np.nextafter(frozen, np.inf))
    assert step.compared(after=ulp).outcome is PASSED
    for change in (1e-13, 1e-6, 1.0, 1e6):
        assert step.compared(after=with_leaf(step.after, 2, frozen + change)).outcome is FAILED


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


def test_dtypes_of_few_bits_have_a_limit_of_their_own() -> None:
    step = made(noise=1e-3, update=1.0, dtypes=("bfloat16", "float32"))
    fine = with_leaf(step.after, 1, step.reference[1])
    found = step.compared(others=[with_leaf(other, 1, step.reference[1]) for other in step.others], after=fine)
    leaf = found.leaves[0].distances
    assert leaf is not None
    assert leaf.limit == COARSE * max(leaf.update, leaf.expected)
    assert found.outcome is PASSED
    assert step.compared(after=with_leaf(fine, 0, step.before[0])).outcome is FAILED


# Leaves without rounding, NaN and infinity


@pytest.mark.parametrize("dtype", ["int32", "uint32", "bool", "uint8"])
def test_leaves_without_rounding_are_equal(dtype: str) -> None:
    step = made(dtypes=("float64", dtype))
    before, value = np.zeros(50, dtype), np.ones(50, dtype)
    own = [with_leaf(state, 1, value) for state in (step.reference, *step.others)]
    step = replace(
        step,
        before=with_leaf(step.before, 1, before),
        reference=own[0],
        others=own[1:],
        after=with_leaf(step.after, 1, value),
    )
    assert step.compared().outcome is PASSED
    one_off = value.copy()
    one_off[3] = 0
    assert step.compared(after=with_leaf(step.after, 1, one_off)).outcome is FAILED
    assert step.compared(others=[with_leaf(own[1], 1, one_off), own[2]]).outcome is INCONCLUSIVE


def test_a_state_without_floats_is_compared_exactly() -> None:
    before, after = [np.zeros(50, np.int32)], [np.ones(50, np.int32)]
    assert compare(before, after, after, [after] * 2, spec_of("int32")).outcome is PASSED
    assert compare(before, before, after, [after] * 2, spec_of("int32")).outcome is FAILED


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_equal(value: float) -> None:
    def struck(state: State, at: int = 5) -> State:
        leaf = state[1].copy()
        leaf[at] = value
        return with_leaf(state, 1, leaf)

    step = made()
    own = [struck(state) for state in (step.reference, *step.others)]
    assert step.compared(reference=own[0], others=own[1:], after=struck(step.after)).outcome is PASSED
    assert step.compared(reference=own[0], others=own[1:], after=struck(step.after, 6)).outcome is FAILED
    assert step.compared(reference=own[0], others=own[1:]).outcome is FAILED
    assert step.compared(after=struck(step.after)).outcome is FAILED
    assert step.compared(others=own[1:], after=struck(step.after)).outcome is INCONCLUSIVE
    other = [np.where(np.isfinite(leaf), leaf, 1.0 if math.isnan(value) else -value) for leaf in struck(step.after)]
    assert step.compared(reference=own[0], others=own[1:], after=other).outcome is FAILED
    assert step.compared(before=struck(step.before)).outcome is PASSED
    lost = [np.full(50, value)] * 3
    assert step.compared(before=lost, after=lost, reference=lost, others=[lost] * 2).outcome is INCONCLUSIVE


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_values_neither_vanish_nor_overflow(scale: float) -> None:
    step = made()
    scaled = [[leaf * scale for leaf in state] for state in (step.before, step.reference, step.after, *step.others)]
    whole = Step(scaled[0], scaled[1], scaled[3:], scaled[2], step.spec)
    assert whole.compared().outcome is PASSED
    assert whole.compared(after=scaled[0]).outcome is FAILED


def test_an_overflowing_distance_never_passes() -> None:
    big = np.full(50, np.finfo(float).max)
    step = made(dtypes=("float64",))
    for after in (big, -big):
        found = step.compared(before=[-big], reference=[big], others=[[-big], [big]], after=[after])
        assert found.outcome is not PASSED


# Laws


@given(power=st.integers(-200, 200), seed=st.integers(0, 99))
def test_scaling_changes_no_ratio(power: int, seed: int) -> None:
    """All states times a power of two."""
    step = made(seed=seed)
    times = [[np.ldexp(leaf, power) for leaf in s] for s in (step.before, step.reference, step.after, *step.others)]
    one, other = step.compared(), Step(times[0], times[1], times[3:], times[2], step.spec).compared()
    assert one.outcome is other.outcome
    assert other.total.relative_error == pytest.approx(one.total.relative_error)
    assert other.total.relative_tolerance == pytest.approx(one.total.relative_tolerance)
    assert other.total.clearance == pytest.approx(one.total.clearance)
    assert other.l2 == pytest.approx(math.ldexp(one.l2, power))


@given(seed=st.integers(0, 99), order=st.randoms(use_true_random=False), noise=st.floats(0, 1))
def test_the_order_of_the_others_does_not_matter(seed: int, order: random.Random, noise: float) -> None:
    step = made(seed=seed, noise=noise)
    others = [*step.others, *made(seed=seed + 1).others]
    shuffled = order.sample(others, len(others))
    assert step.compared(others=others).outcome is step.compared(others=shuffled).outcome
    assert step.compared(others=others).total.noise == pytest.approx(step.compared(others=shuffled).total.noise)


@given(seed=st.integers(0, 99), noise=st.floats(0, 1))
def test_the_total_is_that_of_one_long_leaf(seed: int, noise: float) -> None:
    step = made(seed=seed, noise=noise)
    joined = [[np.concatenate(s)] for s in (step.before, step.reference, step.after, *step.others)]
    one = step.compared().total
    whole = Step(joined[0], joined[1], joined[3:], joined[2], spec_of("float64", size=150)).compared().total
    for name in ("update", "expected", "error", "noise"):
        assert getattr(one, name) == pytest.approx(getattr(whole, name))


def test_complex_values_count_as_two() -> None:
    step = made(dtypes=("complex64",))
    assert step.compared().outcome is PASSED
    conjugate = [leaf + np.complex64(1j) for leaf in step.after]
    assert step.compared(after=conjugate).outcome is FAILED


def test_a_comparison_goes_into_json() -> None:
    content = msgspec.json.encode(made(dtypes=("float32", "int32")).compared())
    assert msgspec.json.decode(content)["outcome"] in set(Outcome)


# Steps of tasks


@dataclass(frozen=True)
class Prepared:
    """A tiny task's program, all its compilations, the inputs of some steps, and the states around them."""

    program: Program
    made: Compilations
    inputs: list[StepInput]
    states: list[State]


@pytest.fixture(scope="module", params=["plain", "linen", "nested"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    task, root = getattr(tiny, request.param)(), Path(tmp_path_factory.mktemp("program"))
    commitment = write_commitment(root, task, Choices(seed="tolerance"), Silent())
    artifacts = Artifacts((root / INIT_FILE).read_bytes(), (root / STEP_FILE).read_bytes())
    program = load_program(artifacts, Signature.of(commitment))
    inputs, made = list(step_inputs(commitment, task.source, 1, 10)), compile_variants(program)
    states = [[np.asarray(leaf) for leaf in program.init(inputs[0].key)]]
    for each in inputs:
        states.append(made.reference.run(states[-1], [each]))
    return Prepared(program, made, inputs, states)


def verifier_without(made: Compilations, at: int) -> Compilations:
    reference, *others = (each for i, each in enumerate((made.reference, *made.others)) if i != at)
    return replace(made, reference=reference, others=tuple(others))


def test_there_are_enough_variants_and_they_change_bits(prepared: Prepared) -> None:
    assert len(prepared.made.others) >= 3
    assert prepared.made.refused == ()
    results = {
        b"".join(leaf.tobytes() for leaf in each.run(prepared.states[3], prepared.inputs[3:9]))
        for each in (prepared.made.reference, *prepared.made.others)
    }
    assert len(results) >= 2


def test_the_default_variant_gives_the_bits_of_the_program(prepared: Prepared) -> None:
    leaves, _ = prepared.program.step(
        tuple(map(np.copy, prepared.states[3])), prepared.inputs[3].batch, prepared.inputs[3].key
    )
    assert all(np.array_equal(a, b) for a, b in zip(leaves, prepared.states[4], strict=True))


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("prover", range(5))
def test_honest_steps_are_never_failed(prepared: Prepared, prover: int, length: int) -> None:
    verifier, every = verifier_without(prepared.made, prover), (prepared.made.reference, *prepared.made.others)
    for start in (0, 3, 7):
        inputs = prepared.inputs[start : start + length]
        after = every[prover].run(prepared.states[start], inputs)
        found = judge_stretch(verifier, prepared.states[start], after, inputs)
        assert found.outcome is PASSED, found.reasons


@pytest.mark.parametrize("prover", range(5))
def test_forged_steps_fail(prepared: Prepared, prover: int) -> None:
    verifier, every = verifier_without(prepared.made, prover), (prepared.made.reference, *prepared.made.others)
    spec = prepared.program.signature.state
    for start in (0, 3, 7):
        before, mine, other = prepared.states[start], prepared.inputs[start], prepared.inputs[start + 1]
        honest = every[prover].run(before, [mine])
        halfway = [
            ((a.astype(float) + b.astype(float)) / 2).astype(b.dtype) if is_floating(leaf.dtype) else b
            for leaf, a, b in zip(spec, before, honest, strict=True)
        ]
        forged = {
            "nothing": before,
            "interpolated": halfway,
            "batch": every[prover].run(before, [replace(mine, batch=other.batch)]),
            "key": every[prover].run(before, [replace(mine, key=other.key)]),
        }
        for kind, after in forged.items():
            found = judge_stretch(verifier, before, after, [mine])
            assert found.outcome is FAILED, (kind, found.reasons)


def test_a_shaken_start_is_not_lost(prepared: Prepared) -> None:
    """Adam takes the root of a mean of squares: below zero, a shaken start would be lost, and show nothing."""
    found = judge_stretch(prepared.made, prepared.states[3], prepared.states[9], prepared.inputs[3:9])
    assert 0 < found.total.reach < math.inf
    assert all(0 <= leaf.distances.reach < math.inf for leaf in found.leaves if leaf.distances)


def test_a_refused_variant_is_left_out_and_named(prepared: Prepared) -> None:
    odd = Variant("odd", {"xla_no_such_option": True})
    with pytest.raises(BackendError, match="xla_no_such_option"):
        compile_step(prepared.program, odd)
    made = compile_variants(prepared.program, [DEFAULT, odd])
    assert made.others == ()
    assert [line.startswith("odd: ") for line in made.refused] == [True]
    found = judge_stretch(made, prepared.states[0], prepared.states[1], prepared.inputs[:1])
    assert found.outcome is INCONCLUSIVE


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_every_platform_has_others_to_try(platform: str) -> None:
    listed = variants(platform)
    assert listed[0] is DEFAULT
    assert len({variant.name for variant in listed}) == len(listed) >= 3
    assert variants("unheard of") == (DEFAULT,)
