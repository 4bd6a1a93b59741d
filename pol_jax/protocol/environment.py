"""An environment is all that decides the bits of a program's results (docs/protocol.md, section 2.2).

A claim has that of the prover; a verifier compares it with its own.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pol_jax.errors import printable

PositiveInteger = Annotated[int, msgspec.Meta(ge=1)]
LongText = Annotated[str, msgspec.Meta(max_length=1024)]


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An environment describes the backend on which a program ran.

    Attributes:
        platform: ``cpu``, ``cuda``, ``rocm`` or ``tpu``, as jax names it.
        platform_version: the runtime's own version.
        device_kind: the device's name.
        device_count: number of devices of all processes together.
        process_count: number of processes.
        jax: version of jax.
        jaxlib: version of jaxlib.
        xla_flags: the words of ``XLA_FLAGS``, sorted.
        machine: architecture of the processor.
        cpu: model of the processor.
        cpu_features: vector instruction sets of the processor, sorted.
        cpu_count: number of processors that the process may use, which is XLA's number of threads.
        collectives: implementation of collectives between processes on CPU, or "none".
        shardings: always empty; the mesh of the commitment says how the state's leaves are cut.
        variables: ``NAME=value`` of environment variables that decide bits, sorted; None in version 1.
        libraries: ``name version`` of the accelerator's libraries, sorted; None in version 1.
    """

    platform: LongText
    platform_version: LongText
    device_kind: LongText
    device_count: PositiveInteger
    process_count: PositiveInteger
    jax: LongText
    jaxlib: LongText
    xla_flags: tuple[LongText, ...]
    machine: LongText
    cpu: LongText
    cpu_features: tuple[LongText, ...]
    cpu_count: PositiveInteger
    collectives: LongText
    shardings: tuple[LongText, ...]
    variables: tuple[LongText, ...] | None
    libraries: tuple[LongText, ...] | None


def environment_differences(a: Environment, b: Environment) -> list[str]:
    """Return what differs between two environments, in one line for each field that decides bits.

    What a claim of version 1 does not say is not compared.
    """
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in differing_environment_fields(a, b))
    return [f"{name}: {_text(x)} against {_text(y)}" for name, x, y in pairs]


def differing_environment_fields(a: Environment, b: Environment) -> list[str]:
    """Return the names of the fields in which two environments differ.

    How many processes there are decides nothing, nor into how many virtual devices they divide processors.
    """
    # On CPU, XLA computes alike on any number of virtual devices; what a mesh of the commitment needs is compared
    # apart.
    ignored = {"process_count", "device_count"} if a.platform == b.platform == "cpu" else {"process_count"}
    pairs = ((name, getattr(a, name), getattr(b, name)) for name in a.__struct_fields__ if name not in ignored)
    return [name for name, x, y in pairs if x != y and None not in (x, y)]


def _text(value: object) -> str:
    return printable(" ".join(value) or "none" if isinstance(value, tuple) else str(value))
