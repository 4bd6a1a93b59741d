"""Strict JSON has one reading, or is refused before anything is built of it."""

from __future__ import annotations

from typing import Any

import pytest

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import decode
from pol_jax.protocol.strict_json import canonical_bytes, check_canonical, parse


def test_canonical_json_has_sorted_fields_no_spaces_and_the_shortest_numbers() -> None:
    content = canonical_bytes({"b": [1.0, 0.1, None], "a": {"é": True}})
    assert content == '{"a":{"é":true},"b":[1,0.1,null]}'.encode()
    check_canonical(parse(content, "x", depth=2), content, "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, [{"a": -(2**53)}]])
def test_what_has_no_canonical_form_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="no canonical JSON for this value"):
        canonical_bytes(value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{}{}", "is not JSON: Extra data at character 2"),
        (b'"\xff"', "is not UTF-8 at byte 1"),
        (b'[{"a":1,"a":1}]', "the field 'a' occurs twice"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"-Infinity", "-Infinity is no JSON number"),
    ],
)
def test_what_has_two_readings_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ProofError, match=problem) as refusal:
        parse(content, "a.json", depth=4)
    assert refusal.value.where == "a.json"


@pytest.mark.parametrize("content", [b'{"b":1,"a":1}', b"[1, 2]", b"1.0", b"-0", b"9007199254740993", b'"\\u0061"'])
def test_another_spelling_of_a_value_is_read_and_is_not_canonical(content: bytes) -> None:
    found = parse(content, "a.json", depth=1)
    with pytest.raises(ProofError, match="is not canonical JSON"):
        check_canonical(found, content, "a.json")


def test_depth_counts_brackets_outside_strings_alone() -> None:
    assert parse(b'[["]]]]",["[[[["]]]', "x", depth=3) == [["]]]]", ["[[[["]]]
    for content in (b"[[[[]]]]", b"[[[[", b'["]]]]",[[["]]]]"]]]]'):
        with pytest.raises(ProofError, match="is nested deeper than 3 levels"):
            parse(content, "x", depth=3)


def test_long_hostile_text_is_read_in_linear_time() -> None:
    names = b"{" + b",".join(b'"%d":0' % at for at in range(10**5)) + b',"99999":0}'
    for content in (names, b'"\\' * 2**19, b'\\"' * 2**19, b'"' * 2**20, b'"' + b"\\" * 2**20, b'["' + b"]" * 2**20):
        with pytest.raises(ProofError):
            decode(content, Any, "x")
