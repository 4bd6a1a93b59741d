"""The task digits learns, and its augmentation moves images as it says."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from standin import KEY, train

from pol_jax.tasks import digits
from pol_jax.training.records import Arrays
from pol_jax.training.task import load_task


@pytest.mark.interpreter
def test_digits_learn(tiny: Path) -> None:
    task = load_task("digits", data_dir=tiny)
    state, losses = train(task, task.steps)
    assert losses[0] == pytest.approx(np.log(10), rel=0.2)
    assert task.evaluate is not None
    assert task.evaluate(state)["test accuracy"] >= 0.97


def test_digits_step_is_pure(tiny: Path) -> None:
    task = load_task("digits", data_dir=tiny)
    state, batch, step = (
        jax.jit(task.init)(KEY),
        cast(Arrays, task.source).records_at(np.arange(task.batch_size)),
        jax.jit(task.step),
    )
    first, second = step(state, batch, KEY), step(state, batch, KEY)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), first, second))
    assert float(step(state, batch, jax.random.key(1))[1]["loss"]) != float(first[1]["loss"])


def test_digits_shift() -> None:
    image = jnp.zeros((100, 8, 8, 1)).at[:, 3, 4].set(1.0)
    moved = np.asarray(digits.shifted(image, KEY))[..., 0]
    assert moved.shape == (100, 8, 8)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved.sum((1, 2)), 1, rtol=1e-6)
    rows, columns = (moved * np.arange(8)[:, None]).sum((1, 2)) - 3, (moved * np.arange(8)).sum((1, 2)) - 4
    for offset in (rows, columns):
        assert -1 <= offset.min() < -0.9
        assert 0.9 < offset.max() <= 1
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.3
    np.testing.assert_array_equal(moved, digits.shifted(image, KEY)[..., 0])
    assert not np.array_equal(moved, digits.shifted(image, jax.random.key(1))[..., 0])


def test_digits_dropout_needs_a_key() -> None:
    model, image = digits.CNN(rngs=nnx.Rngs(0)), jnp.ones((2, 8, 8, 1))
    assert np.array_equal(model(image), model(image))
    assert not np.array_equal(model(image, KEY), model(image))
