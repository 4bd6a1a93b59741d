"""Attacks by a program that reads last bits two steps after the prover chose them, within the tolerance of that step.

Each program trains a layer, keeps a copy of it every third step, and two steps later moves a second leaf by what it
reads of the copy's last places. The forger chooses these places as the copy is made, so that the second leaf goes
wherever it likes. All other steps are true ones, and most have the same bits everywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from steered_runs import BATCH, STEPS, forge, loss_of, records, shape, steered, verified

from pol_jax.files import write_whole
from pol_jax.program.artifact import Program
from pol_jax.progress import Silent
from pol_jax.protocol import inventory
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import StepInput, step_inputs
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.numeric_comparison import compare_spans

pytestmark = pytest.mark.usefixtures("in_process")

PASSED, OPEN = Outcome.PASSED, Outcome.INCONCLUSIVE
WHY = "last places of the state before move it"
MOVE = 0.05

Read = Callable[[jax.Array], jax.Array]


def by_remainder(x: jax.Array) -> jax.Array:
    return jnp.mod(jnp.floor(x * 2.0**24), 2)


def by_bins(x: jax.Array) -> jax.Array:
    """Reads eight places together, so that one more or less is no difference."""
    return jnp.mod(jnp.floor(x * 2.0**21), 2)


def by_chaos(x: jax.Array) -> jax.Array:
    """Folds a number over and over, without any large constant."""
    folded: jax.Array = lax.fori_loop(0, 24, lambda _, y: 1 - jnp.abs(1 - 2 * y), jnp.abs(x) % 1)
    return (folded > 0.5).astype(x.dtype)


def by_rounding(x: jax.Array) -> jax.Array:
    return (x > x.astype(jnp.float16).astype(x.dtype)).astype(x.dtype)


def by_bits(x: jax.Array) -> jax.Array:
    return (lax.bitcast_convert_type(x, jnp.uint32) & 1).astype(x.dtype)


@cache  # a task has the same functions each time, and is exported once
def reading(read: Read, turn_of_reading: int = 2) -> Task:
    """A linear layer, a copy of it in every third step, and what is read of the copy two steps later."""

    def init(key: Key) -> PyTree:
        w = jax.random.normal(key, shape())
        return {"copy": w, "kept": jnp.zeros(shape()), "turn": jnp.int32(0), "w": w}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        loss, gradient = jax.value_and_grad(loss_of)(state["w"], batch)
        w, turn = state["w"] - 0.1 * gradient, state["turn"] % 3
        moved = state["kept"] + MOVE * (2 * read(state["copy"]) - 1)
        new = {
            "copy": jnp.where(turn == 0, w, state["copy"]),
            "kept": jnp.where(turn == turn_of_reading, moved, state["kept"]),
            "turn": state["turn"] + 1,
            "w": w,
        }
        return new, {"loss": loss}

    return Task("reading", init, step, records(), BATCH, STEPS)


def reading_remainders(data_dir: Path | None = None, steps: int | None = None) -> Task:
    return reading(by_remainder)


def waiting(data_dir: Path | None = None, steps: int | None = None) -> Task:
    """A program that would read bits, at a turn that never comes."""
    return reading(by_bits, turn_of_reading=3)


def choosing(read: Read) -> Callable[[int, list[np.ndarray]], list[np.ndarray]]:
    """Choose the last places of each copy so that all of it is read as 1."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        copy, kept, turn, w = leaves
        if (step - 1) % 3 == 0:
            for places in range(1, 9):
                for sign in (1, -1):
                    near = (copy.view(np.int32) + sign * places).view(np.float32)
                    copy = np.where((np.asarray(read(jnp.array(copy))) < 0.5) & (copy == leaves[0]), near, copy)
        return [copy, kept, turn, w]

    return change


def test_last_bits_that_a_later_step_reads(tmp_path: Path) -> None:
    """All of what is kept goes where the forger likes; the steps that read have the same bits everywhere."""
    report = steered(reading_remainders, tmp_path / "proof", choosing(by_remainder))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("leaf /kept" in reason and WHY in reason for reason in report.reasons), report.reasons
    assert [each.outcome for each in report.compared] == [PASSED, PASSED, OPEN] * (STEPS // 3)


def test_last_bits_that_a_step_reads_far_from_a_checkpoint(tmp_path: Path) -> None:
    """The first steps are true ones, and no checkpoint is kept between a step that is not drawn and one that reads."""
    root, between = tmp_path / "proof", [step for step in range(1, STEPS) if step % 3 == 2]
    choose = choosing(by_remainder)
    forge(reading_remainders(), root, lambda step, leaves: leaves if step == 1 else choose(step, leaves))
    for step in between:
        shutil.rmtree(root / checkpoint_name(step))
    write_whole(root / inventory.FILE, take_inventory(root, Limits(), open_proof(root).commitment.format))
    segments = ",".join(str(step - 1) for step in range(1, STEPS + 1) if step not in between)
    report = verified(reading_remainders, root, policy=("--segments", segments))
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert any("leaf /kept" in reason and WHY in reason for reason in report.reasons), report.reasons


def test_a_program_that_reads_bits_has_no_tolerance(tmp_path: Path) -> None:
    """It may wait for a step that nobody draws, or for a sign that nobody else knows: here it never reads."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        leaves[3][0, 0] = np.nextafter(leaves[3][0, 0], np.float32(9))
        return leaves

    report = steered(waiting, tmp_path / "proof", change)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {each.outcome for each in report.compared} == {PASSED}
    assert any("reads the bits of leaf /copy" in reason for reason in report.reasons), report.reasons


@dataclass(frozen=True)
class OneStep:
    """A step of a run, from a state that anyone may have chosen."""

    commitment: Commitment
    program: Program
    given: StepInput
    ends: dict[int, list[np.ndarray]]

    def state(self, step: int) -> list[np.ndarray]:
        return self.ends[step]

    def inputs(self, span: Span) -> list[StepInput]:
        return [self.given]

    def rows_of(self, span: Span) -> Iterator[Row]:
        raise AssertionError("states alone are compared")


@pytest.mark.parametrize("read", [by_bins, by_chaos, by_rounding])
def test_steps_with_equal_bits_are_looked_at_too(read: Read, tmp_path: Path) -> None:
    """Whatever the forger chose, this step gives the same bits everywhere."""
    task = reading(read)
    commitment, _ = write_commitment(tmp_path, task, Choices(), Silent())
    program, (given,) = open_proof(tmp_path).program(), step_inputs(commitment, task.source, 3, 4)
    copy = np.asarray(jax.random.normal(jax.random.key(1), shape()))
    before = [copy, np.zeros_like(copy), np.array(2, np.int32), copy]
    after, _ = program.step(tuple(map(jnp.array, before)), given.batch, given.key)
    step = OneStep(commitment, program, given, {2: before, 3: [np.asarray(leaf) for leaf in after]})
    (found,) = compare_spans(step, [], Silent(), equal=[Span(2, 3)])
    assert (found.outcome, found.equal, found.error) == (OPEN, True, 0)
    assert any("leaf /kept" in reason and WHY in reason for reason in found.reasons), found.reasons
