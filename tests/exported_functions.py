"""Functions that are exported as programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np

from pol_jax.program.artifact import PLATFORMS
from pol_jax.program.decision_sites import DecisionMap, find_decisions
from pol_jax.program.stablehlo import parsed

TARGET = np.random.default_rng(0).normal(size=(100, 50)).astype(np.float32)


VECTOR = jax.ShapeDtypeStruct((4,), np.float32)


def exported(function: Callable[..., Any], *args: Any) -> jax.export.Exported:
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*args)


def decisions_of(function: Callable[..., Any], *args: Any) -> DecisionMap:
    """What decides in a function, once it is exported."""
    with parsed(exported(function, *args).mlir_module()) as module:
        return find_decisions(module)


def deciding_operations(found: DecisionMap) -> list[str]:
    return [each.operation.removeprefix("stablehlo.") for each in found.deciders]
