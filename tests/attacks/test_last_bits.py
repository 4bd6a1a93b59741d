"""Attacks by a program that reads last bits two steps after the prover chose them, within the tolerance of that step.

Each program trains a layer, keeps a copy of it every third step, and two steps later moves a second leaf by what it
reads of the copy's last places. The forger chooses these places as the copy is made, so that the second leaf goes
wherever it likes. All other steps are true ones, and most have the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from test_steering import BATCH, STEPS, loss_of, records, shape, steered

from pol_jax.progress import Silent
from pol_jax.proving.commit import Choices, write_commitment
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import step_inputs
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import compile_variants, variants
from pol_jax.verifying.trusted_program import trust

PASSED, OPEN = Outcome.PASSED, Outcome.INCONCLUSIVE

Read = Callable[[jax.Array], jax.Array]
MOVE = 0.05

WHY = "last places of the state before move it"

READERS: dict[str, Read] = {
    "remainder": lambda x: jnp.mod(jnp.floor(x * 2.0**24), 2),
    "bins of eight places": lambda x: jnp.mod(jnp.floor(x * 2.0**21), 2),
    "sine": lambda x: (jnp.sin(x * (jnp.pi * 2.0**24)) > 0).astype(x.dtype),
    "chaos": lambda x: (lax.fori_loop(0, 24, lambda _, y: 1 - jnp.abs(1 - 2 * y), jnp.abs(x) % 1) > 0.5).astype(
        x.dtype
    ),
    "rounding to a coarser type": lambda x: (x - x.astype(jnp.float16).astype(x.dtype) > 0).astype(x.dtype),
}


def by_bits(x: jax.Array) -> jax.Array:
    """Reads the last bit itself."""
    return (lax.bitcast_convert_type(x, jnp.uint32) & 1).astype(x.dtype)


def reading(read: Read) -> Task:
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
            "kept": jnp.where(turn == 2, moved, state["kept"]),
            "turn": state["turn"] + 1,
            "w": w,
        }
        return new, {"loss": loss}

    return Task("reading", init, step, records(), BATCH, STEPS)


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
    read = READERS["remainder"]
    report = steered(reading(read), tmp_path / "proof", choosing(read), any_program=True)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("leaf /kept" in reason and WHY in reason for reason in report.reasons), report.reasons
    assert [each.outcome for each in report.compared] == [PASSED, PASSED, OPEN] * (STEPS // 3)


def test_a_program_that_nobody_compared_has_no_tolerance(tmp_path: Path) -> None:
    """What it makes of last places may show only in a step that was not drawn, or after many steps."""
    task = reading(jnp.round)
    report = steered(task, tmp_path / "proof", lambda step, leaves: leaves)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "the program was not compared with any source" in report.reasons[0], report.reasons


def test_a_program_that_reads_bits_has_no_tolerance(tmp_path: Path) -> None:
    task = reading(by_bits)
    report = steered(task, tmp_path / "proof", lambda step, leaves: leaves, trusted=trust(task))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("reads the bits of leaf /copy" in reason for reason in report.reasons), report.reasons


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"remainder"}))
def test_ways_to_read_last_bits(name: str, tmp_path: Path) -> None:
    """One step that reads, from a state that anyone may have chosen, with the bits that it has everywhere."""
    task = reading(READERS[name])
    commitment, _ = write_commitment(tmp_path, task, Choices(), Silent())
    program, inputs = open_proof(tmp_path).program(), list(step_inputs(commitment, task.source, 3, 4))
    compilations = compile_variants(program, variants()[:3])
    copy = np.asarray(jax.random.normal(jax.random.key(1), shape()))
    before = [copy, np.zeros_like(copy), np.int32(2), copy]
    found = judge_span(compilations, before, compilations.reference.run(before, inputs), inputs)
    assert found.outcome is OPEN
    assert any("leaf /kept" in reason and WHY in reason for reason in found.reasons), found.reasons
