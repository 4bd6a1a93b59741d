"""Programs of one leaf that are plain functions: what an attack makes of a step is seen without training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from made_documents import made_commitment, made_program

from pol_jax.program.artifact import Program
from pol_jax.protocol.trees import LeafSpec
from pol_jax.training.inputs import StepInput

SPEC = (LeafSpec("/params/w", "float32", (3,), (1,), None),)


def stepping(step: Callable[[jax.Array, Any], jax.Array]) -> Program:
    """A program whose step makes of the leaf and of the first array of the batch what a function says."""

    def whole(leaves: Any, batch: Any, _key: Any) -> Any:
        return (step(leaves[0], batch[0]),), (jnp.float32(0), jnp.float32(0))

    return made_program(made_commitment(state=SPEC), step=whole)


def given(step: int, *batch: float) -> StepInput:
    """The inputs of a step: a batch of these numbers."""
    return StepInput(step, np.zeros(2, np.uint32), np.zeros(len(batch), np.uint64), (np.array(batch, np.float32),))
