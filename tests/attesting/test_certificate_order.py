"""The certificates in a token: sorted, and otherwise left alone."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from timestamp_authority import Authority

from pol_jax.attesting.certificate_order import sort_certificates
from pol_jax.attesting.timestamp import make_request

MESSAGE = b'{"format":"pol-jax/1"}'


def test_sorting_certificates_moves_them_and_nothing_else(tmp_path: Path, token: bytes) -> None:
    authority = Authority(tmp_path / "tsa")
    authority.add_intermediate()
    answer = authority.answer(make_request(MESSAGE))
    once = sort_certificates(answer)
    assert sorted(once) == sorted(answer)
    assert sort_certificates(once) == once
    assert sort_certificates(token) == token, "one certificate is sorted"
    for content in (
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        token[:-1],
        token + b"\0",
        b"\x31" + token[1:],
    ):
        assert sort_certificates(content) == content


@given(st.binary(max_size=200))
def test_sorting_certificates_leaves_other_bytes_alone(content: bytes) -> None:
    assert sorted(sort_certificates(content)) == sorted(content)
