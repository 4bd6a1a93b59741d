"""Rows are compared up to the first that differs; programs run on the run's mesh where this machine has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_documents import made_commitment, made_program

from pol_jax.errors import BackendError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.mesh import Mesh, MeshAxis
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.verifying.row_comparison import RowComparer, _Mismatch, placed_program

SPAN = Span(0, 2)
ROWS = [Row(step, bytes(8), np.zeros(1, np.uint64), bytes(32), bytes(32), bytes(4)) for step in (1, 2)]
MESH = Mesh((MeshAxis("data", 2**16),), (), ())


def test_equal_rows_are_reported_one_by_one() -> None:
    told = list[Row]()
    compare = RowComparer(iter(ROWS), SPAN, told.append)
    for row in ROWS:
        compare(row, None)
    assert told == ROWS


def test_the_first_row_that_differs_ends_the_replay() -> None:
    told, other = list[Row](), replace(ROWS[1], metrics=b"\0\0\0\1")
    compare = RowComparer(iter(ROWS), SPAN, told.append)
    compare(ROWS[0], None)
    with pytest.raises(_Mismatch) as found:
        compare(other, None)
    assert found.value.result == ReplayResult(SPAN, 2, ("loss",), other.digest())
    assert told == ROWS[:1]


def test_states_alone_are_compared_on_request() -> None:
    compare = RowComparer(iter(ROWS), SPAN, states_only=True)
    compare(replace(ROWS[0], metrics=b"\0\0\0\1"), None)
    with pytest.raises(_Mismatch) as found:
        compare(replace(ROWS[1], state=b"\1" * 32), None)
    assert found.value.result.fields == ("state_digest",)


def test_a_program_stays_on_one_device_where_the_mesh_is_not_here() -> None:
    for commitment in (made_commitment(), made_commitment(mesh=MESH)):
        program = made_program(commitment)
        assert placed_program(program, commitment) is program


def test_a_program_that_names_devices_runs_on_no_fewer() -> None:
    commitment = made_commitment(mesh=MESH)
    with pytest.raises(BackendError, match="names the devices of the run's mesh"):
        placed_program(made_program(commitment, names_devices=True), commitment)
