"""What an exported program may call. Looked at before anything of it runs.

A StableHLO module is data, except where it calls by name a function that lives in the verifier's own process: host
callbacks take a raw pointer, so a crafted module could jump anywhere. Only names on a list are let through.
"""

from __future__ import annotations

import re
from typing import Final

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
