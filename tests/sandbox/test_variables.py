"""A child sees what decides how it computes, and no token of its caller's."""

from __future__ import annotations

import pytest
from confined_child import Trying

from pol_jax.sandbox.variables import visible_variables

SEEN = ("PATH", "HOME", "LC_ALL", "PYTHONHASHSEED", "JAX_ENABLE_X64", "XLA_FLAGS", "NCCL_DEBUG", "OMP_NUM_THREADS")
HIDDEN = (
    *("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PATH", "PATH_", "PATH\n", "JAX_\u00e9"),
    *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT"),
    *("JAX_TRANSFER_GUARD", "JAX_TRANSFER_GUARD_DEVICE_TO_HOST", "JAX_DEBUG_NANS", "JAX_DISABLE_JIT"),
)


def test_names_decide_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {name: f"value of {name}" for name in (*SEEN, *HIDDEN)})
    assert visible_variables() == {name: f"value of {name}" for name in SEEN}


def test_child_sees_no_token(trying: Trying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    hidden = "if 'GITHUB_TOKEN' in os.environ: raise OSError('seen')"
    seen = "if os.environ.get('NCCL_DEBUG') != 'INFO': raise OSError('not seen')"
    found = trying(hidden, seen)
    assert (found[hidden], found[seen]) == ("", "")
