"""What the caller's own code raises is one line with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pol_jax.errors import DataError, PeerLostError, UserCodeError
from pol_jax.training.user_code import calling


def raising(error: BaseException) -> Callable[[], Any]:
    def own() -> None:
        raise error

    return own


def text_of(function: Callable[[], Any]) -> str:
    with pytest.raises(UserCodeError) as caught, calling("step"):
        function()
    return str(caught.value)


def test_one_line_with_its_place() -> None:
    text = text_of(raising(ValueError("first\nsecond")))
    assert text.startswith("step: ")
    assert "test_user_code.py:" in text
    assert text.endswith(" in own: ValueError: first")


def test_a_place_in_a_library_is_not_named_but_what_called_it() -> None:
    text = text_of(lambda: sorted(Path.cwd().joinpath("missing", "folder").iterdir()))
    assert "in <lambda>: FileNotFoundError" in text
    assert "pathlib" not in text


def test_the_exception_is_the_cause() -> None:
    error = KeyError("x")
    with pytest.raises(UserCodeError) as caught, calling("step"):
        raising(error)()
    assert caught.value.__cause__ is error
    assert caught.value.exit_code == 2


def test_an_exit_is_no_verdict() -> None:
    """An exit with status 1 would mean "rejected"."""
    assert "SystemExit: 1" in text_of(raising(SystemExit(1)))


def test_errors_of_the_package_and_interruptions_pass() -> None:
    for error in (DataError("mine"), PeerLostError(), KeyboardInterrupt()):
        with pytest.raises(type(error)), calling("step"):
            raising(error)()
