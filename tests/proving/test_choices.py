"""Choices that no commitment can express are refused where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from pol_jax.errors import UsageError
from pol_jax.proving.choices import Choices

PROVER = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interval": 0}, "interval: expected an integer from 1 to"),
        ({"witness_interval": 2**20 + 1}, "witness_interval: expected an integer from 1 to"),
        ({"secret": bytes(31)}, "secret: expected 32 bytes, got 31 bytes"),
        ({"prover": PROVER[:-1]}, "give key="),
        ({"prover": PROVER.replace("ed25519", "rsa")}, "give key="),
    ],
)
def test_what_no_commitment_can_say_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Choices(**changes)


def test_bounds_are_possible_themselves() -> None:
    for interval in (1, 2**20):
        assert Choices(interval=interval, witness_interval=interval, secret=bytes(32), prover=PROVER).prover == PROVER
    assert Choices() == Choices(None, None, None, None, None, None, None, None, None, may_stop_early=False)


def test_the_secret_is_not_shown() -> None:
    assert repr(Choices(secret=b"s" * 32)) == repr(Choices())
