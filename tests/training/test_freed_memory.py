"""Freed memory is given back where it is much."""

from __future__ import annotations

import gc
import weakref

import pytest

from pol_jax.training.freed_memory import LARGE, give_memory_back


@pytest.mark.parametrize(("freed", "given"), [(LARGE, False), (LARGE + 1, True)])
def test_memory_is_given_back_where_it_is_much(freed: int, given: bool) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own = self

    gc.disable()
    try:
        left = weakref.ref(Cycle())
        give_memory_back(freed)
        assert (left() is None) == given
    finally:
        gc.enable()
