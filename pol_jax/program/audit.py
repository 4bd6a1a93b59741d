"""What an exported program may do and what it holds, looked at before anything of it runs.

A program that calls nothing foreign could still be no training: it could carry the weights that it "finds" as
constants, or ignore its batch. An audit tells both: the bytes of its constants, and what depends on what.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.export
from jax.extend.mlir import ir

from pol_jax.program.dataflow import dependences
from pol_jax.program.operations import DEVICE_KEYS, refused_operations
from pol_jax.program.stablehlo import constant_bytes, functions, only_block, parsed


@dataclass(frozen=True)
class Audit:
    """What was seen in an exported program.

    Attributes:
        constant_bytes: values that are written down in it.
        depends: for each result, the arguments that may flow into it; both flat, as the program's caller sees them.
    """

    constant_bytes: int
    depends: tuple[frozenset[int], ...]


def audit(exported: jax.export.Exported, prng: str = "threefry2x32") -> Audit:
    """Look into a program.

    Args:
        exported: the program, deserialized and not run.
        prng: the PRNG that the commitment names; decides which random operations are functions of their inputs.

    Raises:
        ValueError: says which operations are refused, or what of the program can't be followed.
    """
    with parsed(exported.mlir_module()) as module:
        _refuse(module, prng)
        size, depends = constant_bytes(module), dependences(module)
        taken = len(only_block(functions(module)["main"].regions[0]).arguments)
    kept = sorted(set(exported.module_kept_var_idx))  # those that no result needs are left out of ``main``
    hidden = taken - len(kept)  # the number of the platform comes first, unless all platforms do the same
    if hidden not in (0, 1) or len(depends) != len(exported.out_avals):
        raise ValueError("its main function takes or returns other arrays than the program")
    return Audit(size, tuple(frozenset(kept[at - hidden] for at in each if at >= hidden) for each in depends))


def _refuse(module: ir.Module, prng: str) -> None:
    refused = refused_operations(module, device_generator=prng in DEVICE_KEYS)
    if refused:
        listed = ", ".join(sorted(refused)[:8])
        raise ValueError(f"calls {listed}; expected only operations and calls on the list of section 9")
