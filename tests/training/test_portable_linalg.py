"""Linear algebra in a step: no foreign call, and the numbers of jax's own functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from unsandboxed import verify

from pol_jax.program.artifact import PLATFORMS
from pol_jax.program.audit import audit
from pol_jax.program.operations import ALLOWED_CALLS
from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.train import train
from pol_jax.training.portable_linalg import portable_lowerings

SQUARE = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
SYMMETRIC = SQUARE @ SQUARE.T + np.eye(6, dtype=np.float32)

FUNCTIONS: dict[str, tuple[Callable[[jax.Array], Any], np.ndarray]] = {
    "cholesky": (jnp.linalg.cholesky, SYMMETRIC),
    "cholesky of several": (jnp.linalg.cholesky, np.stack([SYMMETRIC, 2 * SYMMETRIC])),
    "solve": (lambda a: jnp.linalg.solve(a, jnp.ones(6)), SYMMETRIC),
    "inverse": (jnp.linalg.inv, SYMMETRIC),
    "determinant": (jnp.linalg.det, SYMMETRIC),
    "triangular": (lambda a: jax.scipy.linalg.solve_triangular(a, jnp.ones((6, 2)), lower=True), np.tril(SYMMETRIC)),
    "qr": (lambda a: jnp.abs(jnp.linalg.qr(a)[1]), SQUARE),
    "eigenvalues": (jnp.linalg.eigvalsh, SYMMETRIC),
    "singular values": (lambda a: jnp.linalg.svd(a, compute_uv=False), SQUARE[:, :4]),
    "orthogonal": (lambda a: jax.random.orthogonal(jax.random.key(0), 6), SQUARE),
    "normal": (lambda a: jax.random.multivariate_normal(jax.random.key(0), jnp.zeros(6), a), SYMMETRIC),
}


@pytest.mark.parametrize("what", FUNCTIONS)
def test_no_foreign_call_and_the_same_numbers(what: str) -> None:
    function, value = FUNCTIONS[what]
    exported = jax.export.export(jax.jit(function), platforms=PLATFORMS, _override_lowering_rules=portable_lowerings())(
        jax.ShapeDtypeStruct(value.shape, value.dtype)
    )
    audit(exported)
    assert set(re.findall(r"custom_call @([\w.]+)", exported.mlir_module())) <= ALLOWED_CALLS
    loaded = jax.export.deserialize(exported.serialize())
    np.testing.assert_allclose(jax.jit(loaded.call)(value), jax.jit(function)(value), rtol=2e-4, atol=2e-5)


def test_no_name_of_a_native_library_is_on_the_list() -> None:
    """What a stranger's program passes to such a library, the library trusts."""
    assert not [name for name in ALLOWED_CALLS if re.search("lapack|solver|magma|blas|ducc", name, re.IGNORECASE)]


def test_an_ordinary_model_that_is_orthogonal_at_first(tmp_path: Path) -> None:
    """Orthogonal initialisers are Flax's default for recurrent cells."""
    task = tiny.nested()

    def init(key: jax.Array) -> jax.Array:
        return jax.nn.initializers.orthogonal()(key, (tiny.FEATURES, tiny.FEATURES))

    def step(state: jax.Array, batch: Any, key: jax.Array) -> Any:
        new, metrics = task.step(state, batch, key)
        scale = jnp.linalg.cholesky(jnp.eye(3) + 0.01 * new[:3, :3] @ new[:3, :3].T)[0, 0]
        return new / scale, metrics

    own = replace(task, init=init, step=step)
    train(own, tmp_path / "proof", steps=4)
    report = verify(tmp_path / "proof", own.source, policy=AllSegments(), nonce=b"n")
    assert report.verdict == "accepted", report.reasons
