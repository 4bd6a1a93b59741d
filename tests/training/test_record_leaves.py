"""Records that are not alike are refused by name."""

from __future__ import annotations

from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest

from pol_jax.errors import DataError
from pol_jax.training.record_leaves import spec_of_record
from pol_jax.training.records import Arrays, Cached, digest_source, record_spec, take


def refused(records: Any, words: str) -> None:
    for source in (records, Cached(records)):
        with pytest.raises(DataError) as caught:
            take(source, record_spec(source), np.arange(len(records)))
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        digest_source(records, record_spec(records))


def alike(count: int = 5) -> list[Any]:
    return [{"x": np.zeros(3, np.float32), "y": 1} for _ in range(count)]


OTHERS: dict[str, tuple[Any, str]] = {
    "shape": ({"x": np.zeros(4, np.float32), "y": 1}, "record 3: leaf /x: got float32[4], expected float32[3]"),
    "narrower": ({"x": np.zeros(3, np.float16), "y": 1}, "record 3: leaf /x: got float16[3], expected float32[3]"),
    "kind": ({"x": np.zeros(3, np.float32), "y": 1.0}, "record 3: leaf /y: got float32[], expected int32[]"),
    "text": ({"x": np.zeros(3, np.float32), "y": "a"}, "record 3: leaf /y: got "),
    "more": ({"x": np.zeros(3, np.float32), "y": 1, "z": 1}, "record 3: has leaves ['/x', '/y', '/z']"),
    "gone": ({"x": np.zeros(3, np.float32), "y": None}, "record 3: has leaves ['/x'], expected ['/x', '/y']"),
    "masked": ({"x": np.ma.masked_equal(np.zeros(3, np.float32), 0), "y": 1}, "record 3: leaf /x: an array that masks"),
    "masked number": ({"x": np.zeros(3, np.float32), "y": np.ma.masked}, "record 3: leaf /y: an array that masks"),
    "none": (None, "record 3 is None; a filter of Grain"),
    "large": ({"x": np.zeros(3, np.float32), "y": 2**40}, "a value of int64 doesn't fit int32"),
    "infinite": ({"x": np.full(3, 1e300), "y": 1}, "a value of float64 doesn't fit float32"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_record_unlike_the_first_is_named(what: str) -> None:
    """Stacking would promote dtypes without a word, and then a batch without the odd one would be refused."""
    other, words = OTHERS[what]
    refused([*alike(3), other, *alike(1)], words)


def test_numbers_of_another_width_are_what_jax_makes_of_them() -> None:
    """Python's numbers and numpy's are the same record to a step."""
    records: list[Any] = [{"y": 1}, {"y": np.int32(1)}, {"y": np.int64(1)}]
    (batch,) = take(records, record_spec(records), np.arange(3))
    assert batch.dtype == np.int32
    assert batch.tolist() == [1, 1, 1]


ODD = {
    "text": (np.array(["a", "b"]), "got str"),
    "objects": (np.array([None, "b"], object), "got a list or an object"),
    "dates": (np.array(["2020-01-01"] * 2, "datetime64[D]"), "got datetime64"),
    "structured": (np.zeros(2, [("x", "f4"), ("y", "i4")]), "got void"),
    "void": (np.zeros(2, "V7"), "is not supported"),
    "int4": (np.zeros(2, ml_dtypes.int4), "dtype int4 is not supported"),
    "long double": (np.zeros(2, np.longdouble), "is not supported"),
}


@pytest.mark.parametrize("what", ODD)
def test_a_dtype_without_a_digest(what: str) -> None:
    array, words = ODD[what]
    with pytest.raises(DataError, match="array /t: ") as caught:
        Arrays({"t": array})
    assert words in str(caught.value)
    with pytest.raises(DataError, match="record leaf /t: "):
        spec_of_record({"t": array})


def test_an_array_that_masks_nothing_is_an_array() -> None:
    (batch,) = take(Arrays({"x": np.ma.asarray(np.arange(3))}), record_spec([{"x": 1}]), np.arange(3))
    assert batch.tolist() == [0, 1, 2]


def test_arrays_without_an_axis_of_records() -> None:
    with pytest.raises(DataError, match="array /x: is a scalar"):
        Arrays({"x": np.float32(3)})


def test_a_record_without_arrays() -> None:
    empty: tuple[Any, ...] = (None, {}, [])
    for nothing in empty:
        with pytest.raises(DataError, match="record 0 has no arrays"):
            spec_of_record(nothing)


def test_a_key_of_jax_is_no_array_of_numbers() -> None:
    """NumPy can't hold it; its data are numbers."""
    with pytest.raises(DataError, match="record leaf /key: expected an array of numbers"):
        spec_of_record({"key": jax.random.key(0)})
    refused([*alike(3), {"x": jax.random.key(0), "y": 1}], "record 3: leaf /x: expected an array of numbers")
