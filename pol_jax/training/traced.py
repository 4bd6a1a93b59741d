"""A task's functions are traced and exported for one device; those that name devices, over the axes of the run's mesh.

The axes have no devices, so that no kind of device is written into a program. Most tasks name none: XLA divides their
programs, which are the same with a mesh and without one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

import jax
import jax.export
from jax.sharding import AbstractMesh

from pol_jax.errors import TaskError, UserCodeError
from pol_jax.program.artifact import PLATFORMS
from pol_jax.program.divided import Cuts
from pol_jax.training.host_calls import host_calls, names_mesh
from pol_jax.training.portable_linalg import portable_lowerings

Traced = TypeVar("Traced")

_CURE: Final = (
    "a task that names devices (jax.shard_map, or a sharding constraint) needs mesh=... and shardings=(those of the"
    " state, that of the batch), given to pol_jax.train or pol_jax.Recording"
)
_OWN_MESH: Final = (
    "leave mesh=... out of jax.shard_map, which then takes that of the recording, or give one with the same axes, made"
    " with axis_types=(jax.sharding.AxisType.Auto,) * their number"
)


def traced(trace: Callable[[], Traced], axes: AbstractMesh | None) -> Traced:
    """Trace functions of a task; if they look for a mesh around them, within that of the run.

    Args:
        trace: calls the functions.
        axes: of the run's mesh; None for one device.

    Raises:
        UserCodeError: they fail both times, or there is no mesh.
    """
    # Without the mesh first: a task that names no devices must give the same program with a mesh and without one.
    try:
        return trace()
    except UserCodeError as error:
        if axes is None:
            raise _with_cure(error) from error.__cause__
    with jax.sharding.use_abstract_mesh(axes):
        try:
            return trace()
        except UserCodeError as error:
            raise _with_cure(error, _OWN_MESH) from error.__cause__


def exported_of(function: Callable[..., Any], name: str, cuts: Cuts | None, *args: Any) -> jax.export.Exported:
    """Return a function, exported for one device; if it names devices, over the axes of the run's mesh.

    Args:
        function: is traced.
        name: of the function, for errors.
        cuts: how its arrays are cut; None for one device.
        args: shapes and dtypes of its arguments.

    Raises:
        TaskError: it calls back to Python, or it names devices and there is no mesh.
    """
    around: AbstractContextManager[Any] = nullcontext()
    try:
        exported, divided = _exported(jax.jit(function), name, *args)
        if exported.nr_devices == 1 and not divided:
            return exported
    except UserCodeError as error:
        if cuts is None:
            raise _with_cure(error) from error.__cause__
        around = jax.sharding.use_abstract_mesh(cuts.axes)
    if cuts is None:
        raise TaskError(f"{name}: {_CURE}")
    with around:
        return _exported(jax.jit(function, in_shardings=cuts.takes, out_shardings=cuts.gives), name, *args)[0]


def _exported(jitted: Any, name: str, *args: Any) -> tuple[jax.export.Exported, bool]:
    """Return a function, exported, and whether a part of it is written for each device of a mesh."""
    jaxpr = jitted.trace(*args).jaxpr
    if calls := host_calls(jaxpr):
        raise TaskError(
            f"{name} calls back to Python ({', '.join(calls)}), which no verifier can repeat: remove the call,"
            " or move it out of the step and return what it needs as a metric"
        )
    export = jax.export.export(jitted, platforms=PLATFORMS, _override_lowering_rules=portable_lowerings())
    return export(*args), names_mesh(jaxpr)


def _with_cure(error: UserCodeError, cure: str = _CURE) -> UserCodeError:
    return UserCodeError(f"{error}; {cure}") if "mesh" in str(error) else error
