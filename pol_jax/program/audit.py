"""What an exported program may call, and what it holds. Looked at before anything of it runs.

A StableHLO module is data, except where it calls by name a function that lives in the verifier's own process: host
callbacks take a raw pointer, so a crafted module could jump anywhere. Only names on a list are let through.

A program that calls nothing could still be no training: carry the weights that it "finds" as constants, or ignore its
batch. What an audit tells bounds the first and shows the second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import jax.export

from pol_jax.program.dataflow import dependences
from pol_jax.program.stablehlo import constant_bytes, functions, only_block, parsed

_ALLOWED: Final = frozenset(
    {
        # PRNG kernels
        "cu_threefry2x32_ffi",
        "cu_threefry2x32",
        "hip_threefry2x32_ffi",
        # placement annotations, without code
        "Sharding",
        "SPMDFullToShardShape",
        "SPMDShardToFullShape",
        "annotate_device_placement",
        # selections that XLA expands itself
        "TopK",
        "ApproxTopK",
        "PartialReduce",
        "stablehlo.dynamic_top_k",
        "mhlo.topk",
        "mhlo.erf",
        "Eigh",
        "Qr",
        "ProductOfElementaryHouseholderReflectors",
    }
)

_CHANNELS: Final = ("stablehlo.infeed", "stablehlo.outfeed", "stablehlo.send", "stablehlo.recv")
"""Operations that speak with the host."""

_CALL: Final = re.compile(r'custom_call @"?([\w.$]+)"?\(')


def foreign_calls(module: str) -> set[str]:
    """Names of what the text of a StableHLO module calls outside of itself, and that is not on the list.

    Any mention of a custom call that doesn't read as a plain one is foreign, under the name ``(unreadable)``.
    """
    plain = _CALL.findall(module)
    foreign = set(plain) - _ALLOWED
    if module.count("custom_call") != len(plain):
        foreign.add("(unreadable)")
    return foreign | {name for name in _CHANNELS if name in module}


@dataclass(frozen=True)
class Audit:
    """What was seen in an exported program.

    Attributes:
        constant_bytes: values that are written down in it.
        depends: for each result, the arguments that may flow into it; both flat, as the program's caller sees them.
    """

    constant_bytes: int
    depends: tuple[frozenset[int], ...]


def audit(exported: jax.export.Exported) -> Audit:
    """Look into a program that calls nothing foreign.

    Raises:
        ValueError: says what of it can't be followed.
    """
    with parsed(exported.mlir_module()) as module:
        size, depends = constant_bytes(module), dependences(module)
        taken = len(only_block(functions(module)["main"].regions[0]).arguments)
    kept = sorted(set(exported.module_kept_var_idx))  # those that no result needs are left out of ``main``
    hidden = taken - len(kept)  # the number of the platform comes first, unless all platforms do the same
    if hidden not in (0, 1) or len(depends) != len(exported.out_avals):
        raise ValueError("its main function takes or returns other arrays than the program")
    return Audit(size, tuple(frozenset(kept[at - hidden] for at in mine if at >= hidden) for mine in depends))
