"""What can be a source, and what is said about what can't."""

from __future__ import annotations

import sys
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tiny

from pol_jax.errors import DataError, UserCodeError
from pol_jax.protocol.commitment import Commitment
from pol_jax.training.records import Arrays, record_spec, take
from pol_jax.training.sources import fetch, number_of_records, source_for


class Of:
    """A source with a length that is given, and records that a function makes."""

    def __init__(self, length: Any, record: Callable[[int], Any] = lambda index: np.float32(index)) -> None:
        self._length, self._record = length, record

    def __len__(self) -> int:
        return cast(int, self._length)

    def __getitem__(self, index: int) -> Any:
        return self._record(index)


def library(module: str, name: str) -> Any:
    """An object of a class of another library."""
    return type(name, (), {"__module__": module, "__len__": lambda self: 3, "__getitem__": lambda self, i: 1})()


NO_SOURCES: dict[str, tuple[Any, str]] = {
    "none": (None, "expected an object with len"),
    "text": ("train[:10%]", "expected an object with len"),
    "path": (Path("/"), "expected an object with len"),
    "dict": ({"x": np.zeros(3)}, "pol_jax.Arrays"),
    "mapping": (UserDict(x=1), "pol_jax.Arrays"),
    "generator": ((x for x in [1]), "pol_jax.records_from"),
    "iterator": (iter([1, 2]), "pol_jax.records_from"),
    "empty": ([], "has no records"),
    "endless": (Of(sys.maxsize), "leave out repeat()"),
    "grain's iterator": (library("grain._src.python.dataset", "MapIterDataset"), "before to_iter_dataset"),
    "grain's loader": (library("grain._src.python.data_loader", "DataLoader"), "MapDataset.source"),
    "streamed": (library("datasets.iterable_dataset", "IterableDataset"), "without streaming=True"),
    "splits": (library("datasets.dataset_dict", "DatasetDict"), "one of its splits"),
    "frame": (library("pandas.core.frame", "DataFrame"), "dict(frame)"),
    "loader": (library("torch.utils.data.dataloader", "DataLoader"), "loader.dataset"),
}


@pytest.mark.parametrize("what", NO_SOURCES)
def test_what_is_no_source_gets_an_advice(what: str) -> None:
    source, words = NO_SOURCES[what]
    with pytest.raises(DataError) as caught:
        number_of_records(source)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [3.5, -1, "3", None])
def test_a_length_that_is_none(length: Any) -> None:
    with pytest.raises(UserCodeError, match="source: its length: "):
        number_of_records(Of(length))


@pytest.mark.parametrize("source", [[1.0, 2.0], np.zeros((2, 3)), Arrays({"x": np.zeros(2)}), Of(2), (1, 2)])
def test_what_has_a_length_and_items_is_a_source(source: Any) -> None:
    assert number_of_records(source) == 2


def test_an_error_of_the_source_names_the_record_and_the_place() -> None:
    def record(index: int) -> float:
        if index == 7:
            raise OSError(5, "Input/output error", "/data/shard-3")
        return float(index)

    with pytest.raises(UserCodeError, match=r"source: record 7: .*test_sources.py:\d+ in record: OSError: .*shard-3"):
        fetch(Of(20, record), np.arange(20))


def test_a_length_that_lies_is_noticed_at_the_record() -> None:
    with pytest.raises(UserCodeError, match=r"source: record 20: .* in <lambda>: IndexError"):
        fetch(Of(30, lambda index: range(20)[index]), np.arange(30))


def test_fetched_in_one_call_if_the_source_can() -> None:
    asked = []

    def several(indices: list[int]) -> list[int]:
        asked.append(indices)
        return indices

    class Several(Of):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return several(indices)

    source = Several(5)
    assert fetch(source, np.array([3, 1])) == [3, 1]
    assert asked == [[3, 1]]


def test_a_take_of_another_library_is_not_ours() -> None:
    """`datasets.Dataset.take(n)` means the first n."""

    class HuggingFace(Of):
        def take(self, n: int) -> Any:
            raise AssertionError("not to be called")

    source = HuggingFace(5)
    (batch,) = take(source, record_spec(source), np.array([4, 0]))
    assert batch.tolist() == [4, 0]


@pytest.mark.parametrize("kind", [np.asarray, lambda array: __import__("jax").numpy.asarray(array), list])
def test_an_array_is_a_source_of_its_rows(kind: Callable[[np.ndarray], Any]) -> None:
    source = kind(np.arange(6, dtype=np.float32).reshape(3, 2))
    (batch,) = take(source, record_spec(source), np.array([2, 0]))
    np.testing.assert_array_equal(batch, [[4, 5], [0, 1]])


def test_the_source_of_a_proof_may_be_found_by_a_function(plain_proof: Path) -> None:
    from pol_jax.storage.proof import open_proof

    commitment, source = open_proof(plain_proof).commitment, tiny.plain().source

    def find(asked: Commitment) -> Any:
        assert asked is commitment
        return source

    assert source_for(find, commitment) is source
    assert source_for(source, commitment) is source
    with pytest.raises(DataError, match="source: expected an object with len"):
        source_for(cast(Any, lambda _: None), commitment)
