"""A step is executed with its decisions in view: their operands are shown, and entries are used for some of them.

This is the instrumented program of a proof's step (`pol_jax.program.instrumentation`), ready to be compiled. It
computes what the step computes; its last bits may differ, since other things are fused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import jax
import jax.export
import numpy as np
from jax._src import core
from jax._src.export import _export

from pol_jax.errors import BackendError
from pol_jax.program.decision_sites import Decider, Shown, find_decisions
from pol_jax.program.instrumentation import BITS, instrument
from pol_jax.program.stablehlo import parsed

MOST_BYTES: Final = 2**29
"""The operands that one step shows take at most this many bytes; comparing them takes several times as much."""


@dataclass(frozen=True)
class ObservedStep:
    """An observed step is the instrumented program of a step.

    Attributes:
        call: ``call(leaves, batch, key, given)``, to be jitted; it returns leaves, metrics, shown operands, counts.
        shown: the operands that are shown, in order.
        deciders: the decision operations that they are operands of.
        capacity: how many executions of a nested operand are kept.
    """

    call: Any
    shown: tuple[Shown, ...]
    deciders: tuple[Decider, ...]
    capacity: int

    @property
    def sites(self) -> tuple[Shown, ...]:
        """Return the operands that entries may replace, by number."""
        return tuple(each for each in self.shown if each.site is not None)

    def shape(self, shown: Shown) -> tuple[int, ...]:
        """Return the shape of the array that shows an operand."""
        return (self.capacity + 1, *shown.shape) if shown.nested else shown.shape

    def nothing_given(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shapes and dtypes of the arrays that give values."""
        return tuple(jax.ShapeDtypeStruct(self.shape(site), BITS[site.dtype]) for site in self.sites)


def observe_step(exported: jax.export.Exported, capacity: int = 1) -> ObservedStep:
    """Instrument a step program.

    Args:
        exported: the program, which was audited.
        capacity: how many executions of an operand in a loop are kept.

    Raises:
        BackendError: the program can't be followed.
    """
    # What is written for devices lies in regions that section 14.2 does not read.
    if exported.nr_devices != 1:
        raise BackendError("its decisions can't be followed: it names the devices of a mesh")
    try:
        with parsed(exported.mlir_module()) as module:
            found = find_decisions(module)
            shown = tuple(each.shown for each in found.located)
            rows = sum(each.nbytes * (capacity + 1 if each.nested else 1) for each in shown)
            if rows > MOST_BYTES:
                raise BackendError(f"its decisions have operands of {rows} bytes; followed are at most {MOST_BYTES}")
            instrument(module, found, capacity)
            module.operation.verify()
            content = _export._module_to_bytecode(module)  # there is no public way to write a module
            deciders = tuple(found.deciders)
    except BackendError:
        raise
    except Exception as error:  # whatever a program that was never seen breaks here: it is judged without decisions
        raise BackendError(f"its decisions can't be followed ({error or type(error).__name__})") from error
    step = ObservedStep(None, shown, deciders, capacity)
    return replace(step, call=_exported(exported, content, step).call)


def _exported(exported: jax.export.Exported, content: bytes, step: ObservedStep) -> jax.export.Exported:
    """Return the program with another module, which takes and gives more arrays than it did."""
    takes = tuple(core.ShapedArray(each.shape, each.dtype) for each in step.nothing_given())
    shows = tuple(core.ShapedArray(step.shape(each), np.dtype(_dtype(each.dtype))) for each in step.shown)
    counts = tuple(core.ShapedArray((), np.dtype(np.int32)) for each in step.shown if each.nested)
    # Only the structure is wanted: zeros stand for the arrays.
    arguments, _ = jax.tree.unflatten(exported.in_tree, [0] * len(exported.in_avals))
    results = jax.tree.unflatten(exported.out_tree, [0] * len(exported.out_avals))
    number, more = len(exported.in_avals), (*shows, *counts)
    return replace(
        exported,
        mlir_module_serialized=content,
        in_avals=(*exported.in_avals, *takes),
        out_avals=(*exported.out_avals, *more),
        in_tree=jax.tree.structure(((*arguments, (0,) * len(takes)), {})),
        out_tree=jax.tree.structure((*results, (0,) * len(shows), (0,) * len(counts))),
        in_shardings_hlo=(*exported.in_shardings_hlo, *[None] * len(takes)),
        out_shardings_hlo=(*exported.out_shardings_hlo, *[None] * len(more)),
        module_kept_var_idx=(*exported.module_kept_var_idx, *range(number, number + len(takes))),
        **_private_shardings(exported, len(takes), len(more)),
    )


def _private_shardings(exported: jax.export.Exported, takes: int, gives: int) -> dict[str, Any]:
    """Return the fields of other versions of jax that have an entry for each argument or result."""
    lengths = {"_in_named_shardings": takes, "_out_named_shardings": gives}
    return {
        name: (*getattr(exported, name), *[None] * count) for name, count in lengths.items() if hasattr(exported, name)
    }


def _dtype(name: str) -> Any:
    return jax.numpy.dtype(name)
