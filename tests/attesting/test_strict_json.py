"""JSON from untrusted bytes: one reading, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.attesting.strict_json import MAX_DEPTH, canonical_bytes, check_fields, parse_object
from pol_jax.errors import ProofError

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def parse(content: bytes, **changes: Any) -> dict[str, Any]:
    return parse_object(content, "a.json", **{"most": 10_000_000, **changes})


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    """But for a real number whose canonical form is an integer beyond 2^53, which has no place in a document."""
    content = canonical_bytes(value)
    try:
        found = parse(content)
    except ProofError as error:
        assert "canonical" in str(error)  # noqa: PT017
        return
    assert canonical_bytes(found) == content


@given(st.binary(max_size=60) | st.text('{}[]":,\\ 019.eE-+truefalsn', max_size=30).map(str.encode))
def test_whatever_is_taken_has_one_form(content: bytes) -> None:
    try:
        found = parse(content)
    except ProofError:
        return
    assert canonical_bytes(found) == content


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_depth_is_measured_before_anything_is_parsed() -> None:
    assert parse(nested(MAX_DEPTH))
    for content in (
        nested(MAX_DEPTH + 1),
        nested(1_000_000),
        b"[" * 1_000_000,
        b'{"a":"' + b"]" * 90 + b'","b":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"\\"]]]]":' + b"[" * 40 + b"]" * 40 + b"}",
    ):
        with pytest.raises(ProofError, match="nested deeper than 32"):
            parse(content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b"[]", "expected an object"),
        (b"1", "expected an object"),
        (b"{} ", "not canonical"),
        (b"{}{}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"\xff":1}', "not UTF-8"),
        (b'{"b":1,"a":1}', "not canonical"),
        (b'{"a":1,"a":1}', "occurs twice"),
        (b'{"a":1.0}', "not canonical"),
        (b'{"a":-0}', "not canonical"),
        (b'{"a":NaN}', "no JSON number"),
        (b'{"a":-Infinity}', "no JSON number"),
        (b'{"a":1e999}', "not canonical"),
        (b'{"a":9007199254740993}', "not canonical"),
        (b'{"a":' + b"9" * 5000 + b"}", "limit"),
        (b'{"\\ud800":1}', "not canonical"),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line(content: bytes, problem: str) -> None:
    with pytest.raises(ProofError, match=problem) as raised:
        parse(content)
    assert str(raised.value).isprintable()


def test_files_of_other_programs_may_have_other_spacing_but_no_name_twice() -> None:
    assert parse(b'{ "b": 1.0,\n "a": 2 }\n', canonical=False) == {"b": 1.0, "a": 2}
    for content in (b'{"a":1,"a":1}', b'{"a":NaN}', b"[]", nested(33)):
        with pytest.raises(ProofError):
            parse(content, canonical=False)


def test_size_and_fields_are_bounded() -> None:
    with pytest.raises(ProofError, match="expected at most 3"):
        parse(b'{"a":1}', most=3)
    check_fields({"a": 1}, {"a"}, "a.json")
    with pytest.raises(ProofError, match="'b' is missing"):
        check_fields({"a": 1}, {"a", "b"}, "a.json")
    with pytest.raises(ProofError, match="list: the field 'a' is unknown"):
        check_fields({"a": 1}, set(), "a.json", "list")
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical_bytes({"a": float("nan")})
