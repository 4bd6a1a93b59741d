"""An array of a checkpoint has chunks of whole pieces, in one spelling."""

from __future__ import annotations

from typing import Any

import pytest

from pol_jax.storage.array_form import ArrayForm, chunk_shape, document_of

FORM = ArrayForm("float32", (8, 6), (4, 2))


def stored(chunk: Any) -> dict[str, Any]:
    return {"chunk_grid": {"configuration": {"chunk_shape": chunk}}}


@pytest.mark.parametrize("chunk", [[8, 6], [2, 3], [4, 6], [2, 6], [8, 3]])
def test_chunks_of_whole_pieces_fit(chunk: list[int]) -> None:
    assert chunk_shape(stored(chunk), FORM) == chunk


@pytest.mark.parametrize(
    "chunk", [[1, 6], [3, 6], [8, 2], [16, 6], [0, 6], [-2, 6], [8], [8, 6, 1], [8.0, 6], [True, 6], "86", None]
)
def test_other_chunks_do_not(chunk: Any) -> None:
    assert chunk_shape(stored(chunk), FORM) is None


@pytest.mark.parametrize("document", [None, [], {}, {"chunk_grid": 3}, {"chunk_grid": {"configuration": []}}])
def test_what_is_no_document_has_no_chunks(document: Any) -> None:
    assert chunk_shape(document, FORM) is None


def test_a_document_names_shape_type_and_chunks_and_the_order_of_bytes_where_there_is_one() -> None:
    found = document_of(FORM, [2, 3])
    assert (found["shape"], found["data_type"]) == ([8, 6], "float32")
    assert chunk_shape(found, FORM) == [2, 3]
    (sharding,) = found["codecs"]
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    assert sharding["configuration"] == {
        "chunk_shape": [2, 3],
        "codecs": [little],
        "index_codecs": [little, {"name": "crc32c"}],
    }
    (of_bytes,) = document_of(ArrayForm("bool", (3,), (1,)), [3])["codecs"]
    assert of_bytes["configuration"]["codecs"] == [{"name": "bytes"}]
