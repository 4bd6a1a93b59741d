"""An observed step knows what it shows and what it takes, and says why a program can't be followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from instrumented_steps import observed
from jax import lax

from pol_jax.errors import BackendError
from pol_jax.program import observed_step
from pol_jax.program.observed_step import observe_step


def test_an_operand_in_a_loop_is_shown_as_often_as_there_is_room_and_once_more() -> None:
    def function(x: jax.Array) -> Any:
        y = jnp.sign(jnp.tanh(x)).astype(jnp.bfloat16)
        return lax.fori_loop(0, 3, lambda _, z: jnp.maximum(z * 2, 0), y)

    program, step = observed(function, capacity=5)
    assert [(step.shape(each), each.dtype) for each in step.shown] == [((4, 8), "float32"), ((6, 4, 8), "bfloat16")]
    assert step.sites == step.shown
    assert [(each.shape, each.dtype) for each in step.nothing_given()] == [
        ((4, 8), np.uint32),
        ((6, 4, 8), np.uint16),
    ]
    assert len(step.deciders) == 2
    with pytest.raises(BackendError, match="names the devices of a mesh"):
        observe_step(replace(program, nr_devices=4))


def test_operands_beyond_the_limit_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed_step, "MOST_BYTES", 100)
    with pytest.raises(BackendError, match="operands of 128 bytes"):
        observed(lambda x: jnp.sign(jnp.tanh(x)))


def test_what_breaks_the_rewriting_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(observed_step, "instrument", broken)
    with pytest.raises(BackendError, match="can't be followed"):
        observed(lambda x: jnp.sign(jnp.tanh(x)))
