"""Records that are other ones than is said are copies of their neighbours, and no more of them than that."""

from __future__ import annotations

import numpy as np
import tiny

from pol_jax.attacks.lies import with_others


def test_other_records_are_copies_of_those_after_them() -> None:
    points = tiny.points()
    last = tiny.RECORDS - 1
    found = with_others(tiny.plain().source, np.array([3, last]))
    assert len(found) == tiny.RECORDS
    for index in range(tiny.RECORDS):
        expected = {3: 4, last: 0}.get(index, index)
        for name in ("label", "x"):
            np.testing.assert_array_equal(found[index][name], points[name][expected])
