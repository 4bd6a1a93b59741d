"""What a caller asks of a run is checked before anything is read or written."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting.public_key import public_text
from pol_jax.errors import UsageError
from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.run_options import RunRequest, request_of
from pol_jax.training.processes import TIMEOUT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def test_what_is_left_out_has_its_default() -> None:
    asked = request_of(steps=None, choices=None, progress=None)
    assert (asked.steps, asked.choices, asked.timeout) == (None, Choices(), TIMEOUT)
    assert isinstance(asked.progress, Silent)
    assert request_of(steps=3, keep_every=2, timeout=1.0).timeout == 1.0


@pytest.mark.parametrize("changes", [{"steps": 0}, {"keep_every": -1}, {"self_check": 0}])
def test_numbers_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(UsageError, match=f"{name} .*: expected an integer from 1 to"):
        RunRequest(**changes)


def test_whoever_holds_the_key_is_the_prover() -> None:
    own = public_text(KEY.public_key())
    assert request_of(key=KEY).choices.prover == own
    assert request_of(key=KEY, choices=Choices(seed="s", prover=own)).choices == Choices(seed="s", prover=own)
    other = public_text(Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key())
    with pytest.raises(UsageError):
        request_of(key=KEY, choices=Choices(prover=other))
