"""An audit shows what a program holds and what its results depend on, or why it may not run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exported_functions import VECTOR, exported
from jax import lax

from pol_jax.program.audit import UnreadableModule, audit

TABLE = np.array([1.5, 2.5, 3.5, 4.5], np.float32)
KEY = jax.ShapeDtypeStruct((2,), np.uint32)


def test_constants_and_dependence_are_those_of_the_program() -> None:
    found = audit(exported(lambda x, y, z: (x + z, y * TABLE, TABLE + 0 * TABLE), VECTOR, VECTOR, VECTOR))
    assert found.depends == (frozenset({0, 2}), frozenset({1}), frozenset())
    assert found.constant_bytes >= TABLE.nbytes
    assert audit(exported(lambda x: x + TABLE, VECTOR)).constant_bytes == TABLE.nbytes
    assert 0 < found.packed_bytes < 2000


def test_arguments_have_the_numbers_of_the_caller_where_the_module_has_others() -> None:
    """Jax leaves out what is not used, and puts the platform first where the program depends on it."""

    def drawn(unused: Any, key: Any, x: Any) -> Any:
        return jax.random.bits(jax.random.wrap_key_data(key), (4,)), x * 2

    assert audit(exported(drawn, VECTOR, KEY, VECTOR)).depends == (frozenset({1}), frozenset({2}))


def test_arguments_whose_bits_are_read_are_known() -> None:
    def read(x: Any, y: Any) -> Any:
        return lax.bitcast_convert_type(x, jnp.int32), y + 1

    assert audit(exported(read, VECTOR, VECTOR)).reads == frozenset({0})
    assert audit(exported(lambda x, y: x + y, VECTOR, VECTOR)).reads == frozenset()


@pytest.mark.parametrize(("precision", "left_open"), [(None, True), ("highest", False)])
def test_a_product_whose_precision_is_left_open_is_known(precision: Any, left_open: bool) -> None:
    product = exported(lambda x, y: jnp.dot(x, y, precision=precision), VECTOR, VECTOR)
    assert audit(product).open_products is left_open


def test_what_nobody_can_compute_again_is_refused_by_name() -> None:
    drawn = exported(lambda x: x + lax.rng_uniform(np.float32(0), np.float32(1), (4,)), VECTOR)
    with pytest.raises(ValueError, match=r"calls stablehlo\.rng; expected only operations and calls on the list"):
        audit(drawn)


def test_a_module_that_can_not_be_read_is_told_apart_from_one_that_is_refused() -> None:
    damaged = replace(exported(lambda x: x, VECTOR), mlir_module_serialized=b"no module")
    with pytest.raises(UnreadableModule, match="has no module that can be read"):
        audit(damaged)
