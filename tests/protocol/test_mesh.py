"""A mesh divides arrays into equal parts, and what fits no state is told in words."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pol_jax.protocol.mesh import Mesh, MeshAxis, problem_of_mesh
from pol_jax.protocol.trees import LeafSpec

STATE = (
    LeafSpec("/b", "float32", (6,), (1,), None),
    LeafSpec("/w", "float32", (8, 6), (4, 2), None),
)
MESH = Mesh((MeshAxis("data", 2), MeshAxis("model", 2)), (((),), (("data", "model"), ())), ("data",))


def test_arrays_are_cut_into_as_many_parts_as_there_are_devices_along_their_axes() -> None:
    assert (MESH.sizes, MESH.device_count) == ({"data": 2, "model": 2}, 4)
    assert [MESH.parts(cuts) for cuts in MESH.state] == [(1,), (4, 1)]
    assert [leaf.pieces for leaf in MESH.cut(STATE)] == [(1,), (4, 1)]
    assert MESH.device_bytes(STATE) == 4 * 6 + 4 * 48 // 4


def test_a_batch_falls_into_equal_parts_or_the_mesh_does_not_divide_it() -> None:
    assert [size for size in range(1, 7) if MESH.divides(size)] == [2, 4, 6]
    assert replace(MESH, batch=()).divides(3)


def test_a_mesh_is_shown_in_one_safe_line() -> None:
    assert str(MESH) == "data=2, model=2"
    assert str(Mesh((MeshAxis("\x1b[2J\n", 2),), (), ())) == "\\x1b[2J\\n=2"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"axes": ()}, "axes: expected 1 to 16 of different names"),
        ({"axes": (MeshAxis("data", 2), MeshAxis("data", 2))}, "axes: expected"),
        ({"axes": (MeshAxis("data", 2**20), MeshAxis("model", 2))}, "at most 1048576 devices"),
        ({"axes": tuple(MeshAxis(str(at), 1) for at in range(17))}, "axes: expected"),
        ({"state": (((),),)}, "state: got 1 leaves, expected 2"),
        ({"batch": ("rows",)}, "batch: got ['rows']"),
        ({"batch": ("data", "data")}, "batch: got ['data', 'data']"),
        ({"state": (((),), ((),))}, "state: the leaf '/w': got cuts of 1 axes, expected 2"),
        ({"state": ((("rows",),), ((), ()))}, "state: the leaf '/b': expected axes of ['data', 'model']"),
        ({"state": (((),), (("data",), ("data",)))}, "state: the leaf '/w': expected axes of"),
        ({"state": ((("data",),), ((), ()))}, "1 pieces of an axis don't fall into 2 equal parts"),
        ({"state": (((),), ((), ("data", "model")))}, "2 pieces of an axis don't fall into 4 equal parts"),
    ],
)
def test_what_fits_no_state_is_told(changes: dict[str, Any], problem: str | None) -> None:
    found = problem_of_mesh(replace(MESH, **changes), STATE)
    assert found is None if problem is None else problem in (found or "")
