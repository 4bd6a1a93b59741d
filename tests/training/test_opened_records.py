"""Of the records of a data set, those that were opened are a source; no other is given, and none that was changed."""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.errors import DataError
from pol_jax.protocol.commitment import DataCommitment
from pol_jax.protocol.encoding import record_digests
from pol_jax.protocol.trees import ArraySpec
from pol_jax.training.opened_records import CommittedRecord, OpenedRecords

X, LABEL = np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(4, dtype=np.int32)
SALTS = [bytes([at]) * 32 for at in range(4)]
DATA = DataCommitment(
    root="00" * 32,
    records=9,
    record=(ArraySpec("/point/x", "float32", (3,)), ArraySpec("/label", "int32", ())),
    salted=False,
)


def opened(*places: int, salted: bool = False) -> OpenedRecords:
    """Records at these places; they are numbered 5, 6, ..."""
    rows = np.concatenate([X.view(np.uint8).reshape(4, -1), LABEL[:, None].view(np.uint8)], axis=1)
    digests = record_digests(rows, SALTS if salted else None)
    found = {
        5 + at: CommittedRecord((X[at], LABEL[at : at + 1].reshape(())), digests[at], SALTS[at] if salted else None)
        for at in places
    }
    return OpenedRecords(DATA, found)


def test_a_record_is_the_task_s_pytree_and_the_source_has_the_committed_size() -> None:
    source = opened(0, 3)
    assert len(source) == 9
    assert [index in source for index in (5, 6, 8)] == [True, False, True]
    record = source[8]
    np.testing.assert_array_equal(record["point"]["x"], X[3])
    assert record["label"] == 3


def test_a_record_that_was_not_opened_is_no_record() -> None:
    with pytest.raises(DataError, match="record 6 was not opened"):
        opened(0)[6]
    with pytest.raises(DataError, match="record 7 was not opened"):
        opened(0).committed(np.array([5, 7], np.uint64))


@pytest.mark.parametrize("salted", [False, True])
def test_a_batch_has_the_opened_records_bit_for_bit(salted: bool) -> None:
    source, indices = opened(0, 1, 3, salted=salted), np.array([8, 5, 8], np.uint64)
    batch = (X[[3, 0, 3]], LABEL[[3, 0, 3]])
    expected = [source.digest(index) for index in (8, 5, 8)]
    assert [row.tobytes() for row in source.check(batch, indices)] == expected
    assert [row.tobytes() for row in source.committed(indices)] == expected
    with pytest.raises(DataError, match="the records of a batch are not the opened ones"):
        source.check((X[[3, 0, 2]], LABEL[[3, 0, 3]]), indices)
