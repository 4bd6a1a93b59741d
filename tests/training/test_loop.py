"""The loop gives each step the state before it, and its follower what the step gave."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.program.artifact import Leaves, Program
from pol_jax.program.signature import Signature
from pol_jax.protocol.trees import ArraySpec, LeafSpec
from pol_jax.training.follower import Follower
from pol_jax.training.inputs import StepInput
from pol_jax.training.loop import run

SIGNATURE = Signature(
    (LeafSpec("/x", "int32", (), (), None),), (ArraySpec("/n", "int32", ()),), 2, "threefry2x32", ("loss",)
)


class Noted(Follower):
    """Notes what it is told, and follows nothing."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def within(self, step: int) -> AbstractContextManager[None]:
        self.told.append(f"step {step}")
        return nullcontext()

    def follow(self, inputs: StepInput, leaves: Leaves, metrics: Sequence[jax.Array]) -> None:
        self.told.append((inputs.step, int(leaves[0]), float(metrics[0])))

    def wait(self) -> None:
        self.told.append("waited")


def unused(*_: Any) -> Any:
    raise AssertionError


def test_each_step_takes_the_state_of_the_one_before() -> None:
    def step(leaves: Leaves, batch: Any, key: Any) -> Any:
        return (jnp.asarray(leaves[0] * 10 + batch[0][1]),), (jnp.float32(key[0]),)

    inputs = [
        StepInput(at, np.array([at, 0], np.uint32), np.zeros(2, np.uint64), (np.array([0, at], np.int32),))
        for at in (4, 5, 6)
    ]
    inputs[1] = replace(inputs[1], changed={0: np.array(7, np.int32)})  # an intervention before step 5
    follower = Noted()
    (last,) = run(Program(SIGNATURE, unused, step, 0, 0, unused, unused), (jnp.int32(1),), inputs, follower)
    assert int(last) == 756
    assert follower.told == ["step 4", (4, 14, 4.0), "step 5", (5, 75, 5.0), "step 6", (6, 756, 6.0), "waited"]
