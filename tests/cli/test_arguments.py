"""Numbers, nonces and challenges as the command line spells them."""

from __future__ import annotations

import pytest

from pol_jax.cli.arguments import parse_list, parse_nonce, step_policy
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import ListedSteps, RandomSteps


def test_a_list_has_ranges_and_spaces() -> None:
    assert parse_list(" 3, 7-9 ,0") == (3, 7, 8, 9, 0)
    assert parse_list("3-1") == ()
    for wrong in ("", "1,", "1 2", "\u0661", "1" * 13):
        with pytest.raises(UsageError, match="expected numbers and ranges"):
            parse_list(wrong)


def test_a_list_has_at_most_a_million_numbers() -> None:
    assert len(parse_list("0-999999")) == 10**6
    for wrong in ("0-1000001", "0-999999,0-1"):
        with pytest.raises(UsageError, match="more than a million numbers"):
            parse_list(wrong)


def test_a_nonce_is_hex_of_some_length() -> None:
    assert parse_nonce(None) is None
    assert parse_nonce("00ff" * 8) == b"\x00\xff" * 8
    for wrong, words in (("xyz", "expected hex digits"), ("00" * 15, "16 to 64"), ("00" * 65, "16 to 64")):
        with pytest.raises(UsageError, match=words):
            parse_nonce(wrong)


def test_steps_are_listed_or_drawn() -> None:
    assert step_policy("1,40-42", None, None) == ListedSteps((1, 40, 41, 42))
    assert step_policy(None, None, None) == RandomSteps()
    assert step_policy(None, 0.5, 0.25) == RandomSteps(0.5, 0.25)
    with pytest.raises(UsageError, match="--fraction: is about random steps; leave out --steps"):
        step_policy("1", None, 0.25)


def test_a_list_of_segments_is_numbers_and_ranges() -> None:
    assert parse_list("0,3,7-9") == (0, 3, 7, 8, 9)
    for wrong in ("a", "1-", "-1", "1--2", "0-9999999"):
        with pytest.raises(UsageError):
            parse_list(wrong)
