"""Settings of jax that people have in their own code change nothing in a proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import tiny
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.policies import AllSegments
from pol_jax.sandbox.variables import visible_variables

SETTINGS: dict[str, dict[str, Any]] = {
    "nothing compiled": {"jax_disable_jit": True},
    "strict promotion": {"jax_numpy_dtype_promotion": "strict", "jax_numpy_rank_promotion": "raise"},
    "no leaked tracers": {"jax_check_tracer_leaks": True},
    "no transfers": {"jax_transfer_guard": "disallow"},
    "no values that are not finite": {"jax_debug_nans": True, "jax_debug_infs": True},
    "other keys": {"jax_default_prng_impl": "rbg"},
}


@contextmanager
def settings(values: dict[str, Any]) -> Iterator[None]:
    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def init(key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (tiny.FEATURES,))


def step(state: jax.Array, batch: Any, key: jax.Array) -> Any:
    """Its code fits the strictest settings."""
    noise = 0.1 * jax.random.normal(key, batch["x"].shape)

    def loss_of(weights: jax.Array) -> jax.Array:
        return jnp.mean(jnp.square(jnp.tanh((batch["x"] + noise) @ weights) - batch["label"].astype(jnp.float32)))

    loss, slope = jax.value_and_grad(loss_of)(state)
    return state - 0.1 * slope, {"loss": loss}


def task() -> pol_jax.Task:
    """One whose program no other test has exported."""
    source = pol_jax.Arrays(tiny.points())
    return pol_jax.Task("settings", lambda key: init(key), lambda *given: step(*given), source, 4, 6, 3)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The claim of a run under none of them."""
    return pol_jax.train(task(), tmp_path_factory.mktemp("usual") / "proof").finished().claim.digest()


@pytest.mark.parametrize("what", SETTINGS)
def test_a_run_under_them_has_the_same_claim(what: str, usual: bytes, tmp_path: Path) -> None:
    with settings(SETTINGS[what]):
        proof = pol_jax.train(task(), tmp_path / "proof")
    assert proof.finished().claim.digest() == usual
    report = verify(tmp_path / "proof", task().source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.mode == "bits", report.reasons


def test_a_verification_is_not_debugged_as_the_caller_s_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process would be ended by a transfer that is forbidden, or by a loss that is not finite."""
    for name in ("JAX_TRANSFER_GUARD", "JAX_DEBUG_NANS", "JAX_DISABLE_JIT", "JAX_NUMPY_RANK_PROMOTION"):
        monkeypatch.setenv(name, "1")
        assert name not in visible_variables()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert visible_variables()["JAX_PLATFORMS"] == "cpu"
