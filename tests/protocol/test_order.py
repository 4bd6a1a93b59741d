"""The order of records: a permutation for each epoch."""

from __future__ import annotations

import numpy as np
import second_implementation as second
from hypothesis import given
from hypothesis import strategies as st
from stored_vectors import vectors
from strategies import law

from pol_jax.protocol import encoding
from pol_jax.protocol.order import ROUNDS, batch_indices, permute


def test_the_order_of_records_is_that_of_the_vectors() -> None:
    stored = vectors("order")
    key = bytes.fromhex(stored["commitment"])
    for vector in stored["places"]:
        found = [second.place(key, vector["epoch"], vector["size"], at) for at in vector["places"]]
        assert found == vector["records"]
    for vector in stored["epochs"]:
        assert second.batch(key, vector["size"], vector["size"], vector["epoch"] + 1) == vector["records"]
        assert sorted(vector["records"]) == list(range(vector["size"]))
    for vector in stored["batches"]:
        steps = range(vector["start"], vector["stop"])
        assert [second.batch(key, vector["records"], vector["batch_size"], step) for step in steps] == vector["batches"]


@law(60)
@given(st.integers(1, 3000), st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
def test_permute_is_a_bijection(size: int, commitment: bytes, epoch: int) -> None:
    keys = encoding.order_keys(commitment, epoch, ROUNDS)[:, None]
    images = permute(keys, size, np.arange(size, dtype=np.uint64))
    assert np.array_equal(np.sort(images), np.arange(size))


@law(60)
@given(st.integers(1, 2**48), st.binary(min_size=32, max_size=32), st.integers(1, 2**32 - 2), st.integers(1, 40))
def test_batches_are_those_of_the_second_implementation(
    records: int, commitment: bytes, start: int, batch_size: int
) -> None:
    found = batch_indices(commitment, records, batch_size, start, start + 2).tolist()
    assert found == [second.batch(commitment, records, batch_size, step) for step in (start, start + 1)]


@law(20)
@given(st.integers(1, 9), st.integers(1, 400), st.integers(0, 50))
def test_epochs_follow_each_other_without_a_gap(records: int, batch_size: int, start: int) -> None:
    run = batch_indices(bytes(32), records, batch_size, 1, start + 3).ravel()
    whole = run[: len(run) // records * records].reshape(-1, records)
    assert (np.sort(whole, axis=1) == np.arange(records)).all()


def test_an_epoch_for_each_place_takes_no_time() -> None:
    assert not batch_indices(bytes(32), 1, 2**14, 1, 3).any()
