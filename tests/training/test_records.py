"""Arrays in memory, and sources that are cached, give the same batches as their records one by one."""

from __future__ import annotations

import numpy as np
import pytest

from pol_jax.errors import DataError
from pol_jax.training.records import Arrays, Cached


def test_sources_give_batches_and_refuse_what_is_no_record() -> None:
    """What counts as records, and what is refused."""
    from pol_jax.training.records import record_spec, take

    arrays = Arrays({"x": np.arange(6).reshape(3, 2), "y": np.arange(3.0)})
    spec = record_spec(arrays)
    assert [(leaf.path, leaf.dtype, leaf.shape) for leaf in spec] == [("/x", "int32", (2,)), ("/y", "float32", ())]
    rows = [arrays[i] for i in range(3)]
    for source in (arrays, rows, Cached(rows)):
        x, y = take(source, spec, np.array([2, 0]))
        np.testing.assert_array_equal(x, [[4, 5], [0, 1]])
        np.testing.assert_array_equal(y, [2, 0])
        assert (x.dtype, y.dtype) == (np.dtype(np.int32), np.dtype(np.float32))
    with pytest.raises(DataError, match="doesn't fit int32"):
        take([{"x": np.array([2**40, 0]), "y": 0.0}], spec, np.array([0]))
    with pytest.raises(DataError, match="leaf /x"):
        take([{"x": np.zeros((3,), np.int32), "y": 0.0}], spec, np.array([0]))
    with pytest.raises(DataError, match="no records"):
        record_spec([])
    with pytest.raises(DataError, match="array of numbers"):
        record_spec([{"text": "words"}])
    with pytest.raises(DataError, match="must have the same length"):
        Arrays({"x": np.zeros(3), "y": np.zeros(4)})
