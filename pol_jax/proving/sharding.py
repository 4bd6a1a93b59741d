"""The prover says how the state and the batch are cut among devices; a commitment says the same by names (section 2.1).

Sums over a cut axis are sums over devices, in an order that the mesh decides: a run that is continued or replayed with
other shardings would have other bits, and nobody would be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pol_jax.errors import UsageError, printable
from pol_jax.program.placement import Axes, Placement, place
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.mesh import Cut, Mesh, MeshAxis, problem_of_mesh
from pol_jax.protocol.trees import LeafSpec, PyTree
from pol_jax.training.export import Structure

Shardings: TypeAlias = tuple[PyTree, PartitionSpec | NamedSharding]
"""How the state is cut, and the batch: a ``PartitionSpec`` or ``NamedSharding`` for each leaf of the state, or for all
leaves below a place of it; and one for the first axis of every array of the batch."""

SEVERAL_PROCESSES: Final = (
    "several processes run: say how the state and the batch are cut among their devices, by mesh=... and"
    " shardings=(those of the state, that of the batch)"
)


def check_devices(mesh: jax.sharding.Mesh | None, shardings: Any) -> None:
    """Check what can be checked before anything is read.

    Raises:
        UsageError: one is given without the other, or a process has no device of the mesh.
    """
    if (mesh is None) != (shardings is None):
        raise UsageError("mesh and shardings: expected both or none; shardings=(those of the state, that of the batch)")
    if shardings is not None and (not isinstance(shardings, tuple) or len(shardings) != 2):
        raise UsageError(f"shardings: expected (those of the state, that of the batch), got {type(shardings).__name__}")
    if mesh is None:
        return
    processes = {device.process_index for device in mesh.devices.flat}
    if processes != set(range(jax.process_count())):
        raise UsageError(f"mesh: has devices of {len(processes)} processes, and {jax.process_count()} run; use all")


def committed_mesh(devices: Axes, shardings: Shardings, structure: Structure, batch_size: int) -> Mesh:
    """Return what a commitment says of shardings.

    Args:
        devices: the mesh, or its axes alone.
        shardings: of state and batch.
        structure: of the task's state.
        batch_size: of the task.

    Raises:
        UsageError: they don't fit the state or the mesh; the text names the leaf.
    """
    _check_names(devices)
    state, batch = shardings
    full = jax.tree.unflatten(structure.treedef, range(structure.treedef.num_leaves))
    try:
        each = jax.tree.leaves(
            jax.tree.map(lambda one, below: [one] * len(jax.tree.leaves(below)), state, full, is_leaf=_is_sharding),
            is_leaf=_is_sharding,
        )
    except ValueError as error:
        raise UsageError(f"shardings: are no prefix of the task's state: {str(error).splitlines()[0]}") from error
    mesh = Mesh(
        axes=tuple(MeshAxis(str(name), size) for name, size in devices.shape.items()),
        state=tuple(
            _cuts(f"the leaf {leaf.path or '/'}", one, devices, leaf)
            for one, leaf in zip(each, structure.spec, strict=True)
        ),
        batch=_cuts("the batch", batch, devices, None)[0],
    )
    for leaf, cuts in zip(structure.spec, mesh.state, strict=True):
        for size, parts in zip(leaf.shape, mesh.parts(cuts), strict=True):
            if size % parts:
                raise UsageError(f"shardings: the leaf {leaf.path or '/'}: an axis of {size} is cut into {parts} parts")
    if not mesh.divides(batch_size):
        raise UsageError(
            f"shardings: batches of {batch_size} records don't fall into {mesh.parts([mesh.batch])[0]} parts"
        )
    if problem := problem_of_mesh(mesh, mesh.cut(structure.spec)):
        raise UsageError(f"shardings: {problem}")
    return mesh


def _check_names(devices: Axes) -> None:
    for name in map(str, devices.shape):
        # XLA ends the process where another sign is in the name of an axis: it can't read what it has written itself.
        if not (name.isascii() and name.isprintable()):
            raise UsageError(f"mesh: the axis {printable(name)!r} has signs that XLA can't read; use printable ASCII")


def agree_on_placement(
    commitment: Commitment,
    structure: Structure,
    devices: jax.sharding.Mesh | None,
    shardings: Shardings | None,
) -> Placement | None:
    """Return where the arrays of a run lie: as it is committed, on the devices that the caller gives.

    Raises:
        UsageError: the caller asks for other shardings than those committed to; or several processes run, and none.
        BackendError: there are too few devices.
    """
    committed = commitment.mesh
    if devices is not None and shardings is not None:
        asked = committed_mesh(devices, shardings, structure, commitment.schedule.batch_size)
        # Other cuts give other sums, and so other bits than the rows that are there (section 2.1).
        if asked != committed:
            raise UsageError(f"shardings: {_difference(asked, committed)}; give the same, or start a new run")
        return place_on(committed, devices)
    if committed is None and jax.process_count() > 1:
        raise UsageError(SEVERAL_PROCESSES)
    return None if committed is None else place(committed)


def place_on(mesh: Mesh, devices: jax.sharding.Mesh) -> Placement:
    """Return where the arrays of a run lie on the caller's devices; XLA chooses the shardings within a step."""
    auto = (AxisType.Auto,) * len(devices.axis_names)
    return place(mesh, jax.sharding.Mesh(devices.devices, devices.axis_names, axis_types=auto))


def _difference(asked: Mesh, committed: Mesh | None) -> str:
    if committed is None:
        return "this run is committed to one device"
    if asked.axes != committed.axes:
        return f"this run is committed to the mesh {committed}, and the given one is {asked}"
    return "this run is committed to others on the same mesh"


def _is_sharding(value: Any) -> bool:
    return value is None or isinstance(value, PartitionSpec | NamedSharding)


def _cuts(what: str, given: Any, devices: Axes, leaf: LeafSpec | None) -> tuple[Cut, ...]:
    """Return what cuts each axis of a leaf; of the batch, if there is no leaf, what cuts its first axis."""
    if isinstance(given, NamedSharding):
        if dict(given.mesh.shape) != dict(devices.shape):
            raise UsageError(f"shardings: {what}: has another mesh, {dict(given.mesh.shape)}")
        given = given.spec
    if not isinstance(given, PartitionSpec):
        raise UsageError(f"shardings: {what}: expected a PartitionSpec or NamedSharding, got {type(given).__name__}")
    cuts = tuple(_cut(what, entry, devices.axis_names) for entry in given)
    axes = 1 if leaf is None else len(leaf.shape)
    # A PartitionSpec may have more entries than an array has axes, if those cut nothing.
    while len(cuts) > axes and not cuts[-1]:
        cuts = cuts[:-1]
    if len(cuts) > axes:
        raise UsageError(f"shardings: {what}: {given} cuts {len(cuts)} axes, and there are {axes} to cut")
    return cuts + ((),) * (axes - len(cuts))


def _cut(what: str, entry: Any, names: Sequence[str]) -> Cut:
    cut = () if entry is None else entry if isinstance(entry, tuple) else (entry,)
    for name in cut:
        if name not in names:
            raise UsageError(f"shardings: {what}: {name!r:.40} is no axis of the mesh; expected one of {list(names)}")
    return cut
