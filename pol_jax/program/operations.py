"""An exported program may have only operations that are functions of their operands (docs/protocol.md, section 9).

A program is replayed in the verifier's process, so an operation that is not on the list is refused by its name before
anything runs. The list leaves out what speaks with the host (infeed, outfeed, send, recv), what nobody can compute
again (rng), and calls by name of functions that live in the verifier's process: a host callback takes a raw pointer, so
that a crafted module could jump anywhere. What depends on other devices is left to programs that are written for all
devices of the run's mesh: there, it is a function of the operands on all of them.

What counts are the operations that MLIR parses, in every function and region. Their text is not searched: a name that
a task gives to a part of its step may contain any word.
"""

from __future__ import annotations

from typing import Final

from jax.extend.mlir import ir

from pol_jax.program.stablehlo import operations

_STRUCTURE: Final = "func.func func.call func.return sdy.mesh sdy.sharding_constraint"

_ARITHMETIC: Final = """
    abs add and atan2 bitcast_convert cbrt ceil clamp compare complex convert cosine count_leading_zeros divide
    exponential exponential_minus_one floor imag is_finite log log_plus_one logistic maximum minimum multiply negate
    not or popcnt power real reduce_precision remainder round_nearest_afz round_nearest_even rsqrt select shift_left
    shift_right_arithmetic shift_right_logical sign sine sqrt subtract tan tanh xor
"""

_ARRAYS: Final = """
    broadcast broadcast_in_dim concatenate constant dynamic_broadcast_in_dim dynamic_gather dynamic_iota dynamic_pad
    dynamic_reshape dynamic_slice dynamic_update_slice gather get_dimension_size get_tuple_element iota pad
    real_dynamic_slice reshape reverse scatter select_and_scatter slice sort transpose tuple
"""

_LINEAR_ALGEBRA: Final = """
    cholesky convolution dot dot_general dynamic_conv fft reduce reduce_window triangular_solve
"""

_CONTROL: Final = "case composite custom_call if map optimization_barrier return rng_bit_generator while"
"""Custom calls and random bits are examined further; a composite calls a function of the module itself."""

MESH_OPERATIONS: Final = frozenset(["sdy.manual_computation", "sdy.return"]) | {
    f"stablehlo.{name}"
    for name in ["all_gather", "all_reduce", "all_to_all", "collective_permute", "partition_id", "reduce_scatter"]
}
"""These are of `jax.shard_map` and its collectives: only a program that is written for a mesh may have them."""

ALLOWED_OPERATIONS: Final = frozenset(_STRUCTURE.split()) | {
    f"stablehlo.{name}" for part in (_ARITHMETIC, _ARRAYS, _LINEAR_ALGEBRA, _CONTROL) for name in part.split()
}

ALLOWED_CALLS: Final = frozenset(
    {
        # kernels of the PRNG
        "cu_threefry2x32_ffi",
        "cu_threefry2x32",
        "hip_threefry2x32_ffi",
        # an annotation of placement, without code
        "annotate_device_placement",
        # selections and decompositions that XLA expands itself
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
"""A custom call may have one of these names."""

DEVICE_KEYS: Final = frozenset({"rbg", "unsafe_rbg"})
"""These PRNG implementations draw their bits from the device's own generator, by `rng_bit_generator`."""


def refused_operations(module: ir.Module, *, device_generator: bool, for_mesh: bool = False) -> set[str]:
    """Return the name of every operation of a module that is not on the list.

    Args:
        module: the module of the program.
        device_generator: whether the commitment names a PRNG that draws from the device's own generator. Its
            algorithm is then whatever the device has; without such a PRNG only Threefry and Philox are let through.
        for_mesh: whether the program is written for the devices of the run's mesh, and may name them.
    """
    found = {name for each in operations(module.operation) if (name := _refused(each, module, device_generator))}
    return found - MESH_OPERATIONS if for_mesh else found


def _refused(operation: ir.Operation, module: ir.Module, device_generator: bool) -> str | None:
    """Return the name under which an operation is refused; None for one that may run."""
    name: str = operation.name
    if operation == module.operation:
        return None
    if name not in ALLOWED_OPERATIONS:
        return name
    if name == "stablehlo.custom_call":
        target = ir.StringAttr(operation.attributes["call_target_name"]).value
        return None if target in ALLOWED_CALLS else target
    if name == "stablehlo.rng_bit_generator" and not device_generator:
        # `DEFAULT` is each device's own generator, whose bits no other device gives again (section 9).
        algorithm = str(operation.attributes["rng_algorithm"])
        return None if "THREE_FRY" in algorithm or "PHILOX" in algorithm else f"{name} with {algorithm}"
    return None
