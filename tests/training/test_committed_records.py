"""Records are held against the committed digests each time that they come, remembered or not."""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.errors import DataError
from pol_jax.training import committed_records as records
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.records import Arrays, digest_source, record_spec, take

SOURCE = Arrays({"x": np.arange(24, dtype=np.float32).reshape(8, 3), "y": np.arange(8, dtype=np.int32)})


SPEC = record_spec(SOURCE)


PLACES = np.array([5, 0, 5, 7], np.uint64)


def committed(secret: bytes | None = None) -> CommittedRecords:
    return CommittedRecords(digests(secret), secret)


def digests(secret: bytes | None) -> np.ndarray:
    return np.frombuffer(b"".join(digest_source(SOURCE, SPEC, secret)), np.uint8).reshape(-1, 32)


def batch_at(places: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(leaf.copy() for leaf in take(SOURCE, SPEC, places.astype(np.int64)))


@pytest.mark.parametrize("secret", [None, b"s" * 32])
@pytest.mark.parametrize("most", [records._REMEMBERED_BYTES, 0])
def test_true_records_have_their_digests_each_time(
    secret: bytes | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_REMEMBERED_BYTES", most)
    check = committed(secret).check
    for places in (PLACES, PLACES, PLACES[::-1], np.arange(8, dtype=np.uint64), PLACES):
        assert np.array_equal(check(batch_at(places), places), digests(secret)[places.astype(np.int64)])


@pytest.mark.parametrize("before", [0, 1, 2], ids="seen {} times".format)
@pytest.mark.parametrize("leaf", [0, 1])
def test_a_record_that_changed_is_named_whenever_it_comes(before: int, leaf: int) -> None:
    check = committed().check
    for _ in range(before):
        check(batch_at(PLACES), PLACES)
    changed = batch_at(PLACES)
    changed[leaf][3] += 1
    with pytest.raises(DataError, match="record 7 "):
        check(changed, PLACES)
    check(batch_at(PLACES), PLACES)


def test_a_wrong_record_is_not_remembered() -> None:
    check = committed().check
    wrong = batch_at(PLACES)
    wrong[0][0] += 1
    for _ in range(2):
        with pytest.raises(DataError, match="record 5 "):
            check(wrong, PLACES)


def test_one_record_in_the_place_of_another_is_refused() -> None:
    check = committed().check
    check(batch_at(PLACES), PLACES)
    with pytest.raises(DataError, match="record 0 "):
        check(batch_at(PLACES), np.array([5, 0, 5, 7], np.uint64)[[1, 0, 2, 3]])


def test_records_whose_numbers_are_equal_and_whose_bytes_are_not_are_others() -> None:
    """They are compared as integers: those of two widths may be equal."""
    check = committed().check
    check(batch_at(PLACES), PLACES)
    x, y = batch_at(PLACES)
    with pytest.raises(DataError, match="record 5 "):
        check((x.view(np.uint32).astype(np.uint64), y), PLACES)
    with pytest.raises(DataError, match="record 5 "):
        check((x,), PLACES)
    check((x, y), PLACES)
