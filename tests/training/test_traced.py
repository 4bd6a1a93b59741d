"""Tasks are traced for one device, or over the axes of the run's mesh; where that fails, the error has the cure."""

from __future__ import annotations

from typing import Any

import jax
import pytest
from exported_functions import VECTOR
from sharded import mesh_of, naming_devices

from pol_jax.errors import TaskError, UserCodeError
from pol_jax.proving.choices import PRNG
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.traced import exported_of, traced


def test_what_names_no_device_is_traced_once_and_exported_for_one() -> None:
    calls = list[str]()

    def trace() -> list[str]:
        calls.append("called")
        return calls

    assert traced(trace, None) == ["called"]
    exported = exported_of(lambda x: x * 2, "step", None, VECTOR)
    assert (exported.nr_devices, exported.platforms) == (1, ("cpu", "cuda", "tpu"))


@pytest.mark.parametrize(
    ("problem", "cure"),
    [("KeyError: 'image'", ""), ("no mesh is set", "; a task that names devices (jax.shard_map, or a sharding")],
)
def test_an_error_has_the_cure_if_it_speaks_of_a_mesh(problem: str, cure: str) -> None:
    def fail() -> Any:
        raise UserCodeError(f"step: in f: {problem}")

    with pytest.raises(UserCodeError) as raised:
        traced(fail, None)
    before, _, after = str(raised.value).partition(problem)
    assert (before, after[: len(cure)], bool(after)) == ("step: in f: ", cure, bool(cure))


def test_a_callback_is_refused_before_anything_is_exported() -> None:
    with pytest.raises(TaskError, match=r"init calls back to Python \(jax\.pure_callback\), which no verifier"):
        exported_of(lambda x: jax.pure_callback(lambda y: y, VECTOR, x), "init", None, VECTOR)


@pytest.mark.parametrize("how", ["shard_map", "constraint"])
def test_without_a_mesh_the_error_says_what_is_missing(how: str) -> None:
    with pytest.raises(UserCodeError, match=r"step: .*mesh.*; a task that names devices .* needs mesh=\.\.\. and"):
        signature_of(naming_devices(how), PRNG)


def test_a_mesh_of_the_tasks_own_is_missed_too() -> None:
    """On one device it is no error to trace it: only the program shows it."""
    own = naming_devices("axes")
    with pytest.raises(TaskError, match=r"step: a task that names devices .* needs mesh=\.\.\. and shardings="):
        export_task(own, signature_of(own, PRNG))


def test_a_mesh_of_other_axes_is_refused_with_the_cure() -> None:
    with pytest.raises(UserCodeError, match=r"step: .*should match the mesh.*; leave mesh=\.\.\. out of jax.shard_map"):
        signature_of(naming_devices("explicit"), PRNG, mesh_of("shard_map"))
