"""An audit looks at what an exported program may do and what it holds, before anything of it runs (section 9).

A program whose operations are all allowed could still be no training: it could carry the weights that it "finds" as
constants, or ignore its batch. An audit shows both: the size of its constants, and which results depend on what.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.export
from jax.extend.mlir import ir

from pol_jax.program.dataflow import flow_of
from pol_jax.program.operations import DEVICE_KEYS, refused_operations
from pol_jax.program.stablehlo import (
    constant_bytes,
    functions,
    has_odd_sharding,
    has_open_products,
    only_block,
    packed_bytes,
    parsed,
)


@dataclass(frozen=True)
class Audit:
    """An audit is what was found in an exported program.

    Attributes:
        constant_bytes: size of its constants.
        packed_bytes: size of all of it, compressed.
        depends: for each result, the arguments that may flow into it. Both are numbered in the flat order in which the
            program's caller passes and receives them.
        reads: the arguments that may flow into floating-point values whose bits are read.
        open_products: whether it leaves open how precisely products of float32 are computed.
    """

    constant_bytes: int
    packed_bytes: int
    depends: tuple[frozenset[int], ...]
    reads: frozenset[int]
    open_products: bool


class UnreadableModule(ValueError):
    """jax can't read the module of an exported program: it is damaged, or of another version."""


def audit(exported: jax.export.Exported, prng: str = "threefry2x32", *, for_mesh: bool = False) -> Audit:
    """Return the audit of a program.

    Args:
        exported: the program, deserialized and not run.
        prng: the PRNG that the commitment names, which decides what random operations are allowed.
        for_mesh: whether it is written for the devices of the run's mesh, and may name them.

    Raises:
        UnreadableModule: there is no module that this jax can read.
        ValueError: the text says which operations are refused, or what can't be analysed.
    """
    try:
        text = exported.mlir_module()
    except Exception as error:  # third-party parser of hostile bytes: it raises errors of its own
        raise UnreadableModule(f"has no module that can be read ({type(error).__name__})") from error
    with parsed(text) as module:
        _refuse(module, prng, for_mesh=for_mesh)
        size, packed, (depends, reads) = constant_bytes(module), packed_bytes(module), flow_of(module)
        open_products = has_open_products(module)
        arguments = len(only_block(functions(module)["main"].regions[0]).arguments)
    # jax leaves arguments that no result needs out of ``main``, and puts the number of the platform before the others,
    # unless the program is the same on all platforms.
    kept = sorted(set(exported.module_kept_var_idx))
    hidden = arguments - len(kept)
    if hidden not in (0, 1) or len(depends) != len(exported.out_avals):
        raise ValueError("its main function takes or returns other arrays than the program")
    *used, read = (frozenset(kept[at - hidden] for at in each if at >= hidden) for each in (*depends, reads))
    return Audit(size, packed, tuple(used), read, open_products)


def _refuse(module: ir.Module, prng: str, *, for_mesh: bool) -> None:
    refused = refused_operations(module, device_generator=prng in DEVICE_KEYS, for_mesh=for_mesh)
    if refused:
        listed = ", ".join(sorted(refused)[:8])
        raise ValueError(f"calls {listed}; expected only operations and calls on the list of section 9")
    # Each device can read its own number, and so all of them a list of numbers that no constant shows.
    if has_odd_sharding(module):
        raise ValueError(
            "puts devices into an order of its own, or adds up over them by a sharding; expected shardings that only"
            " say where arrays lie on the commitment's mesh"
        )
