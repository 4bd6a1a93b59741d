"""Functions that are exported as programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import numpy as np

from pol_jax.program.artifact import PLATFORMS

TARGET = np.random.default_rng(0).normal(size=(100, 50)).astype(np.float32)


VECTOR = jax.ShapeDtypeStruct((4,), np.float32)


def exported(function: Callable[..., Any], *args: Any) -> jax.export.Exported:
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*args)
