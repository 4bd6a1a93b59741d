"""Optimizers that people use are steps like others: all of them train in one step, and are reproduced bit for bit.

L-BFGS is in ``verifying/test_rounding_decides.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.policies import AllSegments

FALLING = optax.warmup_cosine_decay_schedule(0.0, 0.01, 3, 10)

OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.clip(0.5), optax.adamw(FALLING)),
    "accumulating": optax.MultiSteps(optax.adam(1e-2), every_k_schedule=2).gradient_transformation(),
    "schedule free": optax.contrib.schedule_free_adamw(1e-2, warmup_steps=3),
    "only if finite": optax.apply_if_finite(optax.sgd(0.1, momentum=0.9), 3),
    "rate in the state": optax.inject_hyperparams(optax.adam)(learning_rate=FALLING),
    "lion": optax.lion(1e-3),
    "adafactor": optax.adafactor(1e-2),
    "partly frozen": optax.multi_transform({"a": optax.sgd(0.1), "b": optax.set_to_zero()}, {"w": "a", "b": "b"}),
    "reduced on a plateau": optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau(patience=2)),
    "noisy": optax.chain(optax.add_noise(0.01, 0.5, jax.random.key(3)), optax.sgd(0.1)),
    "muon": optax.contrib.muon(1e-2),
    "moments in bfloat16": optax.adam(1e-2, mu_dtype=jnp.bfloat16),
    "average of updates": optax.chain(optax.sgd(0.1), optax.ema(0.9)),
}


def initial(key: jax.Array) -> Any:
    return {"w": 0.1 * jax.random.normal(key, (tiny.FEATURES, tiny.CLASSES)), "b": jnp.zeros(tiny.CLASSES)}


def init(key: jax.Array) -> Any:
    params = initial(key)
    slow = optax.LookaheadParams.init_synced(params)
    states = {name: (params, optimizer.init(params)) for name, optimizer in OPTIMIZERS.items()}
    return {**states, "lookahead": (slow, LOOKAHEAD.init(slow))}


LOOKAHEAD = optax.lookahead(optax.sgd(0.1), 3, 0.5)


def step(state: Any, batch: Any, key: jax.Array) -> Any:
    def loss_of(params: Any) -> Any:
        logits = batch["x"] @ params["w"] + params["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    new, losses = {}, {}
    for name, optimizer in [*OPTIMIZERS.items(), ("lookahead", LOOKAHEAD)]:
        params, moments = state[name]
        fast = params.fast if name == "lookahead" else params
        losses[name], gradient = jax.value_and_grad(loss_of)(fast)
        update = optax.with_extra_args_support(optimizer).update
        updates, moments = update(gradient, moments, params, value=losses[name])
        new[name] = optax.apply_updates(params, updates), moments
    return new, {"loss": losses["clipped"], **losses}


def test_all_of_them_in_one_step(tmp_path: Path) -> None:
    task = pol_jax.Task("optimizers", init, step, pol_jax.Arrays(tiny.points()), tiny.BATCH, 8, 4)
    told = list[Any]()
    pol_jax.train(task, tmp_path / "proof", on_step=lambda _, metrics: told.append(metrics))
    assert all(np.isfinite(loss) for metrics in told for loss in metrics.values())
    report = verify(tmp_path / "proof", task.source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.mode == "bits", report.reasons
