"""What a proof costs is measured against the loop without one: the same program and inputs, with nothing recorded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from pol_jax import Source, open_proof
from pol_jax.program.artifact import Leaves, Program
from pol_jax.training.inputs import StepInput, step_inputs

FOREVER = 2**31
"""More steps than any measurement takes."""


def train_plainly(program: Program, state: Leaves, inputs: Iterator[StepInput], steps: int) -> Leaves:
    """Run so many steps, and wait for the last one."""
    for each in itertools.islice(inputs, steps):
        state, _ = program.step(state, each.batch, each.key)
    finished: Leaves = jax.block_until_ready(state)
    return finished


def time_plain_training(out: Path, source: Source, steps: int) -> float:
    """Return the seconds of so many steps of the run that is proved in ``out``, compilation left out."""
    proof = open_proof(out)
    program, inputs = proof.program(), step_inputs(proof.commitment, source, 1, FOREVER)
    state = train_plainly(program, proof.leaves(0), inputs, 5)
    begun = time.perf_counter()
    train_plainly(program, state, inputs, steps)
    return time.perf_counter() - begun
