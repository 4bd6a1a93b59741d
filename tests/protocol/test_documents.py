"""Documents are canonical JSON: stored vectors, and laws for both implementations."""

from __future__ import annotations

from typing import Any

import pytest
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from stored_vectors import content_of, vectors
from strategies import _json, law
from vectors.valid_documents import PARSERS

from pol_jax.errors import ProofError
from pol_jax.protocol.documents import decode, encode


@pytest.mark.parametrize("vector", vectors("documents")["accepted"], ids=lambda vector: vector["kind"])
def test_a_document_of_the_vectors_is_read_and_written_again(vector: dict[str, Any]) -> None:
    content = vector["text"].encode()
    parsed = PARSERS[vector["kind"]](content)
    assert (parsed.encode() if vector["kind"] != "inventory" else encode(parsed)) == content
    assert second.canonical(second.parse(content)).encode() == content
    if vector["digest"]:
        version = second.version_of(second.parse(content))
        assert second.digest(vector["kind"], content, version=version).hex() == vector["digest"]
        assert parsed.digest().hex() == vector["digest"]


@pytest.mark.parametrize("vector", vectors("documents")["refused"], ids=lambda vector: vector["name"])
def test_a_wrong_document_of_the_vectors_is_refused(vector: dict[str, Any]) -> None:
    content = content_of(vector)
    with pytest.raises(ProofError) as refusal:
        PARSERS[vector["kind"]](content)
    assert refusal.value.where == f"{vector['kind']}.json"
    assert vector["names"] in str(refusal.value)
    assert str(refusal.value).isprintable()
    if vector["layer"] == "json":
        with pytest.raises(second.Refused):
            second.parse(content)
    else:
        assert second.canonical(second.parse(content)).encode() == content


@law(300)
@given(_json)
def test_documents_round_trip_and_are_canonical_for_both(value: Any) -> None:
    content = encode(value)
    assert second.canonical(value).encode() == content
    try:
        read = decode(content, Any, "x")
    except ProofError:  # a float whose canonical form is an integer beyond 2^53
        with pytest.raises(second.Refused):
            second.parse(content)
        return
    assert encode(read) == content
    assert second.canonical(second.parse(content)).encode() == content


@law(300)
@given(st.text(alphabet='{}[]",:\\ 01eE.-+tnu\n\ud800', max_size=40))
def test_what_one_parser_refuses_the_other_refuses(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    try:
        read = decode(content, Any, "x")
    except ProofError:
        with pytest.raises(second.Refused):
            second.parse(content)
        return
    assert encode(read) == content
    assert second.canonical(second.parse(content)).encode() == content
