"""Annotations are checked while tests run, axes of arrays among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from type_checks import checked

from pol_jax.protocol import merkle
from pol_jax.protocol.order import _mix


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


def test_the_package_is_checked() -> None:
    """Modules that have arrays, and others."""
    assert _mix(np.zeros(3, np.uint64)).shape == (3,)
    with pytest.raises(BeartypeCallHintViolation):
        _mix(np.zeros(3))
    with pytest.raises(BeartypeCallHintViolation):
        merkle.root("leaves")  # type: ignore[arg-type]
