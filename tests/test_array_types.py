"""Types of arrays are those of jaxtyping, taken from it when one is read."""

from __future__ import annotations

import jaxtyping
import pytest

from pol_jax import array_types


@pytest.mark.parametrize("name", ["UInt8", "UInt32", "UInt64"])
def test_a_type_is_that_of_jaxtyping(name: str) -> None:
    assert getattr(array_types, name) is getattr(jaxtyping, name)
    assert name not in vars(array_types)  # it was not imported with the module


def test_what_python_itself_asks_for_is_not_looked_for_in_jaxtyping() -> None:
    for name in ("__path__", "_UInt8"):
        with pytest.raises(AttributeError, match=name):
            getattr(array_types, name)
