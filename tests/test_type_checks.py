"""Annotations are checked while tests run, axes of arrays among them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from type_checks import checked

from pol_jax.protocol import merkle
from pol_jax.verifying.initial_test import two_sample_p_value


@checked()
def doubled(x: Float[np.ndarray, "n m"], y: Float[np.ndarray, " m"]) -> Float[np.ndarray, "n m"]:
    total: np.ndarray = x + y
    return total[: 2 if y[0] else None]


def test_what_fits_is_returned() -> None:
    for rows in (2, 3):  # no call binds the next one
        assert doubled(np.zeros((rows, 4)), np.zeros(4)).shape == (rows, 4)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 3)), np.zeros(4)),
        (np.zeros(3), np.zeros(3)),
        (np.zeros((2, 3), int), np.zeros(3)),
        (np.zeros((3, 3)), np.ones(3)),
        ([[0.0]], np.zeros(1)),
    ],
    ids=["another size", "another rank", "another dtype", "a result of another size", "no array"],
)
def test_what_does_not_fit_is_refused(arguments: Any) -> None:
    with pytest.raises(BeartypeCallHintViolation):
        doubled(*arguments)


def test_what_is_called_very_often_is_not_checked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("type_checks.MOST_CALLS", 2)
    again = checked()(inspect.unwrap(doubled))
    for _ in range(2):
        with pytest.raises(BeartypeCallHintViolation):
            again(np.zeros((2, 3)), np.zeros(4))
    assert again(np.zeros((2, 2), int), np.zeros(2, int)).shape == (2, 2)


def test_the_package_is_checked() -> None:
    """Modules that have arrays, and others."""
    assert 0 <= two_sample_p_value(np.zeros(3), np.ones(3)) <= 1
    with pytest.raises(BeartypeCallHintViolation):
        two_sample_p_value(np.zeros(3), np.zeros(4))
    with pytest.raises(BeartypeCallHintViolation):
        merkle.root("leaves")  # type: ignore[arg-type]
