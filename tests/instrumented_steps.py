"""Steps that are a function of one array, and are instrumented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from exported_functions import exported

from pol_jax.program.instrumentation import own_bits
from pol_jax.program.observed_step import ObservedStep, observe_step

SHAPE = jax.ShapeDtypeStruct((4, 8), np.float32)
KEY = jax.ShapeDtypeStruct((2,), np.uint32)
X = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)

Function = Callable[[jax.Array], Any]


def step_of(function: Function) -> Callable[..., Any]:
    """A step whose only leaf, and only array of the batch, is what the function is of."""

    def step(leaves: Any, batch: Any, key: Any) -> Any:
        return tuple(jax.tree.leaves(function(leaves[0]))), (jnp.float32(0),)

    return step


def observed(function: Function, capacity: int = 8) -> tuple[Any, ObservedStep]:
    program = exported(step_of(function), (SHAPE,), (SHAPE,), KEY)
    return program, observe_step(program, capacity)


def nothing(step: ObservedStep) -> list[np.ndarray]:
    return [
        np.full(each.shape, own_bits(site.dtype), each.dtype)
        for each, site in zip(step.nothing_given(), step.sites, strict=True)
    ]


def run(step: ObservedStep, given: list[np.ndarray]) -> Any:
    return jax.jit(step.call)((X,), (X,), np.zeros(2, np.uint32), tuple(given))
