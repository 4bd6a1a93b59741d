"""A start that is a true draw in the order of the stolen weights, and a program that hardly moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import tiny

from pol_jax.attacks.interpolation import rank_matched, with_scaled_updates


def test_a_rank_matched_start_has_the_values_of_the_draw_and_the_order_of_the_target() -> None:
    draw = np.random.default_rng(0)
    initial, target = ([draw.normal(size=shape) for shape in ((4, 5), (3,))] for _ in range(2))
    found = rank_matched(initial, target, (0,))
    assert sorted(found[0].ravel()) == sorted(initial[0].ravel())
    assert (np.argsort(found[0], axis=None) == np.argsort(target[0], axis=None)).all()
    assert np.linalg.norm(found[0] - target[0]) < np.linalg.norm(initial[0] - target[0])
    assert found[1] is initial[1]


def test_a_program_with_scaled_updates_goes_a_part_of_each_step() -> None:
    def step(state: Any, batch: Any, key: Any) -> Any:
        return {"count": state["count"] + 1, "w": state["w"] + batch}, {"loss": key}

    scaled = with_scaled_updates(replace(tiny.plain(), step=step), 0.25)
    new, metrics = scaled.step({"count": jnp.int32(3), "w": jnp.ones(2)}, jnp.array([4.0, 8.0]), jnp.int32(7))
    assert (int(new["count"]), new["count"].dtype.name, int(metrics["loss"])) == (4, "int32", 7)
    assert new["w"].tolist() == [2, 3]
