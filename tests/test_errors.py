"""Errors have the exit code of their class, and texts that are safe to show."""

from __future__ import annotations

import errno

import pytest

from pol_jax import errors
from pol_jax.errors import BackendError, ProofError, printable, unreadable


def test_classes_of_errors_have_the_exit_codes_of_the_command_line() -> None:
    codes = {
        errors.UsageError("x").exit_code,
        errors.TaskError("x").exit_code,
        errors.DataError("x").exit_code,
        errors.StorageError("x").exit_code,
        errors.ProcessError("x").exit_code,
    }
    assert codes == {errors.WRONG_INPUT}
    assert ProofError("a", "b").exit_code == errors.DivergenceError("x").exit_code == errors.REJECTED
    assert BackendError("x").exit_code == errors.INCONCLUSIVE


def test_an_error_of_a_proof_says_where_and_quotes_nothing_that_a_terminal_obeys() -> None:
    error = ProofError("claim.json", "\x1b[2J" + "x" * 600)
    assert error.where == "claim.json"
    assert str(error) == "claim.json: \\x1b[2J" + "x" * 496 + "..."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe", "größe"),
        ("a\nb", "a\\nb"),
        ("\u202eab", "\\u202eab"),
        ("x AGE-SECRET-KEY-1ABC y", "x (a secret key) y"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- y", "(a secret key) y"),
        ("-----begin ec private key-----\nabc", "(a secret key)"),
    ],
)
def test_text_is_shown_in_one_line_without_secrets(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable("abcdef", 3) == "abc..."


def wrapped(error: Exception, inner: BaseException, *, context: bool = False) -> Exception:
    """The error of a library, with the system's error as its cause, or as what was being handled."""
    if context:
        error.__context__ = inner
    else:
        error.__cause__ = inner
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (wrapped(ValueError("x"), OSError(errno.EMFILE, "Too many open files")), "Too many open files"),
        (wrapped(ValueError("x"), wrapped(KeyError(), MemoryError()), context=True), "out of memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: no room"), "RESOURCE_EXHAUSTED: no room"),
    ],
)
def test_what_a_machine_can_not_read_says_nothing_of_a_proof(error: Exception, words: str) -> None:
    found = unreadable("ledger", "is damaged", error)
    assert isinstance(found, BackendError)
    assert words in str(found)
    assert "this machine can't read ledger" in str(found)


@pytest.mark.parametrize("error", [ValueError("odd"), OSError(errno.ENOENT, "No such file"), EOFError()])
def test_any_other_cause_is_the_proofs(error: Exception) -> None:
    found = unreadable("ledger", "is damaged", error)
    assert isinstance(found, ProofError)
    assert str(found) == "ledger: is damaged"
