"""Records of another process are those that it has, and its errors are errors of the data."""

from __future__ import annotations

from multiprocessing import Pipe as pair
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import pytest
import tiny

from pol_jax.errors import DataError
from pol_jax.protocol.trees import ArraySpec
from pol_jax.sandbox.messages import ReadRecords, Records
from pol_jax.sandbox.pipe import Pipe
from pol_jax.sandbox.remote_records import AnswerRecords, RemoteRecords, answers_from
from pol_jax.training.records import Arrays

SPEC = (ArraySpec("/label", "int32", ()), ArraySpec("/x", "float32", (tiny.FEATURES,)))
POINTS = tiny.points()


def asked(answer_records: AnswerRecords, *indices: int) -> Any:
    """What remote records give, where another thread answers."""
    ours, theirs = pair()
    with ours, theirs:

        def answer() -> None:
            question = msgspec.msgpack.decode(ours.recv_bytes(), type=ReadRecords)
            ours.send_bytes(msgspec.msgpack.encode(answer_records(question.indices)))

        thread = Thread(target=answer, daemon=True)
        thread.start()
        records = RemoteRecords(Pipe(theirs), SPEC, tiny.RECORDS)
        assert len(records) == tiny.RECORDS
        try:
            return records.records_at(np.array(indices)) if len(indices) > 1 else records[indices[0]]
        finally:
            thread.join(60)


def test_a_batch_is_that_of_the_source() -> None:
    batch = asked(answers_from(Arrays(POINTS), SPEC), 3, 1, 3)
    for name in ("label", "x"):
        assert batch[name].dtype == POINTS[name].dtype
        np.testing.assert_array_equal(batch[name], POINTS[name][[3, 1, 3]])


def test_a_record_is_one_of_a_batch() -> None:
    record = asked(answers_from(Arrays(POINTS), SPEC), 7)
    assert record["label"] == POINTS["label"][7]
    np.testing.assert_array_equal(record["x"], POINTS["x"][7])


def test_records_that_can_t_be_read_are_told() -> None:
    other = answers_from(Arrays({"label": POINTS["label"], "x": POINTS["x"][:, :-1]}), SPEC)
    told = other([0])
    assert told.leaves == []
    assert told.error
    with pytest.raises(DataError) as raised:
        asked(other, 0, 1)
    assert str(raised.value) == told.error


def test_leaves_that_are_missing_are_no_records() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        asked(lambda _: Records([POINTS["label"][:2].tobytes()], None), 0, 1)
