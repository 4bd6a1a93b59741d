"""How much an update depends on its batch and state: what is not known is null in JSON."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.reports.dependence import Dependence


def test_a_share_that_is_not_known_survives_json_as_null() -> None:
    found = Dependence(3, None, None, 5e-4, "/w")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Dependence) == found
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(found) | {"step": -1}, Dependence)
