"""A program whose code names devices is written for the mesh of its run, and runs on no other (section 9).

All other programs are written for one device, and XLA divides them. This one says itself how its arrays are cut: with
other shardings it would run all the same, and have other bits, so it must say what the commitment says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.export
from jax.sharding import AbstractMesh, NamedSharding

from pol_jax.program.placement import Placement, axes_of, place
from pol_jax.program.signature import Signature


@dataclass(frozen=True)
class Cuts:
    """Cuts say how what a program takes and returns is cut: as trees of shardings over ``axes``, without devices."""

    axes: AbstractMesh
    takes: tuple[Any, ...]
    gives: Any


def cuts_of(signature: Signature) -> tuple[Cuts, Cuts] | None:
    """Return how the arrays of ``init`` and ``step`` are cut; None on one device."""
    if signature.mesh is None:
        return None
    axes = axes_of(signature.mesh)
    placed = place(signature.mesh, axes)
    batch, metrics = (placed.batch,) * len(signature.record), (placed.whole,) * len(signature.metrics)
    init = Cuts(axes, (placed.whole,), placed.state)
    return init, Cuts(axes, (placed.state, batch, placed.whole), (placed.state, metrics))


def compile_for(
    init: jax.export.Exported, step: jax.export.Exported, signature: Signature, placement: Placement
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return ``init`` and ``step``, compiled for the devices of a mesh: XLA divides what is written for one device."""
    whole, batch = placement.whole, (placement.batch,) * len(signature.record)
    return jax.jit(init.call, in_shardings=whole, out_shardings=placement.state), jax.jit(
        step.call,
        in_shardings=(placement.state, batch, whole),
        out_shardings=(placement.state, (whole,) * len(signature.metrics)),
        donate_argnums=0,
    )


def is_for_mesh(exported: jax.export.Exported, signature: Signature) -> bool:
    """Return whether a program has as many devices as the run's mesh, and may therefore name them."""
    return signature.mesh is not None and exported.nr_devices == signature.mesh.device_count


def says_cuts(exported: jax.export.Exported) -> bool:
    """Return whether a program says how its arrays are cut, and so names devices.

    What it says is applied, whatever it is for: an array that is "unreduced" would be added up over the devices.
    """
    named = ("_in_named_shardings", "_out_named_shardings")
    every = (exported.in_shardings_hlo, exported.out_shardings_hlo, *(getattr(exported, name, ()) for name in named))
    return exported.nr_devices != 1 or any(each is not None for part in every for each in part)


def says_other_cuts(exported: jax.export.Exported, cuts: Cuts) -> bool:
    """Return whether a program for a mesh says other shardings than the commitment, or none."""
    axes: Any = cuts.axes
    if not getattr(exported, "_has_named_shardings", True):  # jax would read them by the axes of the program itself
        return True
    try:
        says = (*exported.in_shardings_jax(axes), *exported.out_shardings_jax(axes))
    except Exception:  # noqa: BLE001  # jax's reader of hostile bytes: whatever it raises, these are not the cuts
        return True
    expected = (*jax.tree.leaves(cuts.takes), *jax.tree.leaves(cuts.gives))
    avals, taken = (*exported.in_avals, *exported.out_avals), len(exported.in_avals)
    dropped = set(range(taken)) - set(exported.module_kept_var_idx)  # what no result needs is not cut
    if not len(says) == len(avals) == len(expected):
        return True
    each = enumerate(zip(says, expected, avals, strict=True))
    return any(_differ(cut, asked, len(aval.shape)) for at, (cut, asked, aval) in each if at not in dropped)


def _differ(says: Any, expected: NamedSharding, rank: int) -> bool:
    return not isinstance(says, NamedSharding) or not says.is_equivalent_to(expected, rank)
