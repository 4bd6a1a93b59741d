"""Flower's records say what they said when they were written, and nothing of a worker's is read otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation import assignment, model

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict

from pol_jax.attesting.public_key import public_text
from pol_jax.errors import ProofError
from pol_jax.integrations.flower.records import (
    arrays_of,
    assignment_record,
    bytes_in,
    content_of,
    data_in,
    in_dtypes_of,
    read_assignment,
    read_update,
    tree_of,
)

pytestmark = pytest.mark.filterwarnings("default")


def test_an_update_is_like_the_model_that_was_sent_out() -> None:
    like = arrays_of(model(1))
    found = read_update(arrays_of(model(0)), like)
    for name, leaf in model(0)["params"].items():
        np.testing.assert_array_equal(found["params"][name], leaf, strict=True)
    for other in (None, ConfigRecord({"a": 1}), ArrayRecord({}), arrays_of({"params": {"w": np.zeros((16, 3))}})):
        with pytest.raises(ProofError, match="has other arrays than the model that was sent out"):
            read_update(other, like)


def test_doubles_of_a_strategy_have_the_dtypes_of_the_model() -> None:
    wide = arrays_of({"w": np.array([0.1, 2.0])})
    found = in_dtypes_of(arrays_of({"w": np.zeros(2, np.float32)}), wide)["/w"].numpy()
    np.testing.assert_array_equal(found, np.array([0.1, 2.0], np.float32), strict=True)


def test_bytes_are_there_and_bounded() -> None:
    record = ConfigRecord({"claim": b"1234", "text": "1234"})
    assert bytes_in(record, "claim", 4) == b"1234"
    with pytest.raises(ProofError, match="claim: has 4 bytes, more than the limit of 3"):
        bytes_in(record, "claim", 3)
    for other, name in ((record, "text"), (record, "opening"), (None, "claim")):
        with pytest.raises(ProofError, match=f"{name}: is missing"):
            bytes_in(other, name, 4)


def test_an_error_is_no_content() -> None:
    asked = Message(RecordDict(), dst_node_id=3, message_type="query")
    content = RecordDict({"answer": ConfigRecord({"a": 1})})
    assert content_of(Message(content, reply_to=asked))["answer"]["a"] == 1
    with pytest.raises(ProofError, match=r"reply: an error: it\\nfailed"):
        content_of(Message(Error(0, "it\nfailed"), reply_to=asked))


def test_records_are_read_as_they_were_written() -> None:
    given = replace(assignment(0), prover=public_text(Ed25519PrivateKey.generate()), arithmetic="exact")
    for each in (given, assignment(1)):
        assert read_assignment(assignment_record(each)) == each
    tree = tree_of(arrays_of(model(1)))
    assert all(np.array_equal(tree["params"][name], leaf) for name, leaf in model(1)["params"].items())


@pytest.mark.parametrize(
    "array",
    [
        Array("float32", (16, 3), "numpy.ndarray", b"rubbish"),
        Array(np.zeros((16, 3))),
        Array(np.zeros((3, 16), np.float32)),
        Array(np.asfortranarray(np.zeros((16, 3), np.float32))),
    ],
)
def test_an_array_has_one_form(array: Array) -> None:
    like = arrays_of(model(1))
    with pytest.raises(ProofError, match=r"array /params/w is no float32\[16, 3\]"):
        read_update(ArrayRecord({"/params/b": like["/params/b"], "/params/w": array}), like)


def test_what_is_no_registration_is_refused() -> None:
    data = assignment(0).data
    right = {"root": data.root, "records": data.records, "salted": data.salted}
    assert data_in(ConfigRecord(right)) == data
    for wrong in ({}, right | {"root": 3}, right | {"records": 0}, right | {"salted": 1}, right | {"root": "A" * 64}):
        with pytest.raises(ProofError, match="registration: is malformed"):
            data_in(ConfigRecord(wrong))
    with pytest.raises(ProofError, match="registration: is malformed"):
        data_in(None)
