"""What is not finite in a drift is null in JSON, and never 0."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.reports.drift import Drift

NOTHING_KNOWN = Drift(None, None, None, None, None, None, updates=0, infinitesimal=0, share=None)


def test_what_is_not_known_survives_json_as_null() -> None:
    encoded = msgspec.json.encode(NOTHING_KNOWN)
    assert encoded.count(b"null") == 8
    assert msgspec.json.decode(encoded, type=Drift) == NOTHING_KNOWN


def test_a_count_of_updates_is_not_negative() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(NOTHING_KNOWN) | {"infinitesimal": -1}, Drift)
