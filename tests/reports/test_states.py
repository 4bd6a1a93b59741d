"""What a report says of states: leaves that are not finite, and a test of random ones."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.reports.states import KolmogorovSmirnov, NonFinite


def test_a_leaf_cannot_hold_fewer_values_than_none() -> None:
    assert msgspec.convert({"path": "/w", "values": 2, "size": 3}, NonFinite) == NonFinite("/w", 2, 3)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "/w", "values": -2, "size": 3}, NonFinite)


def test_the_smallest_p_value_survives_json() -> None:
    found = KolmogorovSmirnov(3, 5e-324, "/w")
    assert msgspec.json.decode(msgspec.json.encode(found), type=KolmogorovSmirnov) == found
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"leaves": -1, "smallest_p": 0.5, "path": "/w"}, KolmogorovSmirnov)
