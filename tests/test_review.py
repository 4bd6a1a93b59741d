"""Attacks on verdicts within a tolerance: what hides behind a segment that was not reached, a loss, or another leaf."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused, undecided
from test_tolerance import FAILED, INCONCLUSIVE, PASSED, Step, made, with_leaf

from pol_jax.judging.drift import Course, drift_of, too_far
from pol_jax.judging.tolerance import StepComparison, compare, with_losses
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import AllSegments
from pol_jax.protocol.environment import Environment
from pol_jax.protocol.trees import DTYPES, LeafSpec
from pol_jax.proving.commit import Choices, write_commitment
from pol_jax.proving.recording import train
from pol_jax.reports.report import Report, Verdict
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.calibration import _drowned, judge_stretch
from pol_jax.verifying.compilations import compile_variants
from pol_jax.verifying.proof_verifier import verify

Verify = Callable[..., Report]


def elsewhere(forger: Forger) -> Environment:
    """What a prover may say to have numbers compared in place of bits."""
    return msgspec.structs.replace(forger.claim.environment, cpu="an abacus")


def nudged(loss: bytes | None) -> bytes:
    """Off by one unit in the last place."""
    return np.nextafter(np.frombuffer(loss or b"", "<f4"), np.float32(np.inf)).tobytes()


# --- a proof with few checkpoints --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 segments of two steps; checkpoints 0, 6, 12, 18, 24."""
    path = tmp_path_factory.mktemp("thinned") / "proof"
    train(tiny.plain(), path, steps=24, keep_every=3, choices=Choices(interval=2, seed="review"))
    return path


@pytest.fixture
def forger(thinned: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(thinned, tmp_path / "proof")))


def test_a_false_segment_behind_one_that_was_not_reached(forger: Forger, verify_plain: Verify) -> None:
    """Row 3 ends a replay early, within the tolerance; so that fewer segments are reached than were challenged."""
    forger.change(3, loss=nudged(forger.rows[3].loss))
    forger.set_state(24, [leaf + np.float32(7) if leaf.dtype == np.float32 else leaf for leaf in forger.states[24]])
    forger.write(environment=elsewhere(forger))
    report = verify_plain(forger.root)
    assert report.verdict is Verdict.REJECTED, report.reasons


def test_a_false_state_between_checkpoints_behind_a_loss(forger: Forger, verify_plain: Verify) -> None:
    """The stretch ends bit for bit and doesn't pass through a state of the ledger, as without the nudge before it."""
    forger.change(7, loss=nudged(forger.rows[7].loss))
    forger.change(9, state=bytes(32))
    forger.write(environment=elsewhere(forger))
    undecided(verify_plain(forger.root), "comes out bit for bit, but not the one after step 9")


# --- noise that several steps have grown -------------------------------------------------------------------------


def chaotic() -> Task:
    """A logistic map beside running statistics of raw inputs, whose updates are larger by far."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.uniform(key, (64,)), "variance": jnp.ones(tiny.FEATURES)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        x = batch["x"]
        w = (state["w"] + jnp.mean(jnp.tanh(x @ state["w"].reshape(tiny.FEATURES, -1)))) % 1
        w = 3.98 * w * (1 - w)
        return {"w": w, "variance": 0.9 * state["variance"] + 1e6 * jnp.mean(x * x, 0)}, {"loss": jnp.mean(x @ x.T)}

    return Task("chaotic", init, step, Arrays(tiny.points()), tiny.BATCH, 80, 40)


def test_a_chaotic_leaf_beside_a_large_one_is_not_passed(tmp_path: Path) -> None:
    """Whatever is no farther from the state before than two of the verifier's own results are from each other."""
    train(chaotic(), tmp_path / "proof", choices=Choices(seed="review"))
    forger = Forger(tmp_path / "proof")
    at = [leaf.path for leaf in forger.commitment.state].index("/w")
    forger.set_state(80, with_leaf(forger.states[80], at, forger.states[40][at]))
    forger.write(environment=elsewhere(forger))
    report = verify(forger.root, chaotic().source, policy=AllSegments(), nonce=b"n")
    undecided(report, "leaf /w: error")


def with_after(step: Step, after: list[np.ndarray], drowned: set[int] | None) -> StepComparison:
    return compare(step.before, after, step.reference, step.others, step.spec, step.reference, drowned)


def test_only_what_one_step_drowns_may_drown_in_several() -> None:
    step, draw = made(), np.random.default_rng(7)
    noisy = [with_leaf(s, 0, step.before[0] + 1e-9 * draw.normal(size=50)) for s in (step.reference, *step.others)]
    step = replace(step, reference=noisy[0], others=noisy[1:])
    after = with_leaf(step.after, 0, step.before[0] - 1e-10)
    assert with_after(step, after, None).outcome is PASSED
    assert with_after(step, after, {0}).outcome is PASSED
    assert with_after(step, after, set()).leaves[0].outcome is INCONCLUSIVE


def test_what_is_below_the_last_place_passes_after_several_steps() -> None:
    step = made()
    still = [with_leaf(s, 0, step.before[0]) for s in (step.reference, *step.others)]
    step = replace(step, reference=still[0], others=still[1:])
    ulp = with_leaf(step.after, 0, np.nextafter(step.before[0], np.inf))
    assert with_after(step, ulp, set()).outcome is PASSED


# --- what is no number -------------------------------------------------------------------------------------------


def losses(committed: float, *own: float, shaken: float | None = None) -> StepComparison:
    found, moved = made().compared(), [np.float32(own[0] if shaken is None else shaken)]
    return with_losses(found, [np.float32(committed)], [[np.float32(each)] for each in own], moved)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_loss_that_is_not_always_a_number_here_is_not_passed(odd: float) -> None:
    """A program may give no number under fast math alone: then any loss would do."""
    assert losses(1.0, 1.0, 1.0, 1.0).outcome is PASSED
    assert losses(odd, odd, odd, odd).outcome is PASSED
    assert losses(7.0, 1.0, odd, 1.0).outcome is INCONCLUSIVE
    assert losses(1.0, odd, 1.0, 1.0).outcome is INCONCLUSIVE
    assert losses(odd, 1.0, 1.0, 1.0).outcome is FAILED
    assert losses(7.0, odd, odd, odd).outcome is FAILED


def test_a_shaken_loss_that_is_no_number_hinders_a_failure_and_no_pass() -> None:
    assert losses(1.0, 1.0, 1.0, 1.0, shaken=np.nan).outcome is PASSED
    assert losses(7.0, 1.0, 1.0, 1.0, shaken=np.nan).outcome is INCONCLUSIVE
    assert losses(np.nan, 1.0, 1.0, 1.0, shaken=np.nan).outcome is INCONCLUSIVE


def test_a_shaken_state_that_is_lost_hinders_a_failure() -> None:
    step = made()
    lost = with_leaf(step.reference, 1, np.full(50, np.nan))

    def with_shaken(after: list[np.ndarray], shaken: list[np.ndarray]) -> StepComparison:
        return compare(step.before, after, step.reference, step.others, step.spec, shaken)

    false, struck = with_leaf(step.after, 1, step.before[1]), with_leaf(step.after, 1, np.full(50, np.nan))
    assert with_shaken(false, step.reference).outcome is FAILED
    assert with_shaken(false, lost).outcome is INCONCLUSIVE
    assert with_shaken(struck, step.reference).outcome is FAILED
    assert with_shaken(struck, lost).outcome is INCONCLUSIVE
    assert with_shaken(step.after, lost).outcome is PASSED


def test_a_shaken_integer_hinders_a_failure_and_no_pass() -> None:
    """Such as a count of right answers: a few more or less, where the state before is moved."""
    step = made(dtypes=("float64", "float64"))
    spec = (step.spec[0], msgspec.structs.replace(step.spec[1], dtype="int32"))
    count = np.arange(50, dtype=np.int32)
    own = [with_leaf(state, 1, count) for state in (step.reference, *step.others)]

    def counted(after: np.ndarray, shaken: np.ndarray) -> StepComparison:
        before, moved = with_leaf(step.before, 1, count), with_leaf(step.reference, 1, shaken)
        return compare(before, with_leaf(step.after, 1, after), own[0], own[1:], spec, moved)

    assert counted(count, count + 1).outcome is PASSED
    assert counted(count + 2, count + 1).outcome is INCONCLUSIVE
    assert counted(count + 1, count).outcome is FAILED


# --- drift -------------------------------------------------------------------------------------------------------


def course_of(dtype: str, *states: list[complex]) -> Course:
    course = Course((LeafSpec("/w", dtype, (2,), (1,), None), LeafSpec("/c", "int32", (1,), (1,), None)))
    for step, state in enumerate(states):
        course.add(step, [np.array(state, DTYPES[dtype]), np.array([step], np.int32)])
    return course


def test_what_is_never_finite_takes_no_bound_away() -> None:
    """A program may keep a leaf that is no number for that alone."""
    course = course_of("float32", [0, np.nan], [1, np.nan], [3, np.nan])
    assert course.distance == 3
    assert course_of("float32", [0, np.inf], [4, 1]).distance == 4
    drift = drift_of(course, AllSegments(), 2, [], [], 2, None)
    assert too_far(msgspec.structs.replace(drift, tolerated=0.31))
    assert not too_far(msgspec.structs.replace(drift, tolerated=0.29))


def test_complex_leaves_go_some_way() -> None:
    assert course_of("complex64", [0, 1], [3j, 5]).distance == 5


# --- what turns over by rounding ---------------------------------------------------------------------------------


def signs() -> Task:
    """Goes down by the signs of gradients, which are those of small differences."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.normal(key, (8192,)), "goal": jax.random.normal(jax.random.fold_in(key, 1), (8192,))}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        w = state["w"] - 0.01 * jnp.sign(state["w"] - state["goal"] + 0 * jnp.sum(batch["x"]))
        return state | {"w": w}, {"loss": jnp.mean(jnp.abs(w - state["goal"])) + 0 * jnp.mean(batch["x"])}

    return Task("signs", init, step, Arrays(tiny.points()), tiny.BATCH, 1, 1)


def test_a_sign_that_rounding_turns_over_is_not_false(tmp_path: Path) -> None:
    """Another jax turned one of 32768 over in one of 150 steps, where no compilation here did."""
    commitment = write_commitment(tmp_path, signs(), Choices(seed="review"), Silent())
    program, (given,) = open_proof(tmp_path).program(), step_inputs(commitment, signs().source, 1, 2)
    compilations = compile_variants(program)
    goal, w = (np.asarray(leaf).copy() for leaf in program.init(given.key))
    goal[:24] = np.nextafter(w[:24], np.float32(np.inf))
    after = compilations.reference.run([goal, w], [given])

    def compared(at: int, times: float) -> StepComparison:
        turned = after[1].copy()
        turned[at] += np.float32(times) * (w[at] - turned[at])
        return judge_stretch(compilations, [goal, w], [after[0], turned], [given])

    assert compared(0, 0).outcome is PASSED
    found = compared(0, 2)
    assert found.outcome is INCONCLUSIVE, (found.total.error, found.total.reach, found.outcome)
    assert judge_stretch(compilations, [goal, w], [goal, w], [given]).outcome is FAILED


def test_a_leaf_that_the_first_step_leaves_alone_is_not_drowned() -> None:
    """An optimizer that gathers gradients of several steps moves nothing in the first."""
    step = made()
    still = [with_leaf(s, 0, step.before[0]) for s in (step.reference, *step.others)]
    noisy = [with_leaf(s, 1, step.before[1] + (1 + at) * 1e-9) for at, s in enumerate(still)]
    assert _drowned(step.spec, step.before, noisy[0], noisy[1:]) == {1}


def test_a_false_initial_state_of_a_directory_elsewhere(forger: Forger, verify_plain: Verify) -> None:
    """True steps from trained weights: only the initial state is not what the program gives."""
    forger.train_on(tiny.plain().source, 0, 24, forger.states[24])
    forger.write(environment=elsewhere(forger))
    refused(verify_plain(forger.root), 7)
