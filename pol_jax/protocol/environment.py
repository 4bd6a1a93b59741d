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
        shardings: how the state's leaves are distributed over devices; empty if each leaf is whole on one device.
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


def environment_differences(a: Environment, b: Environment) -> list[str]:
    """Return what differs between two environments, in one line for each field."""
    fields = ((name, getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    return [f"{name}: {_text(x)} against {_text(y)}" for name, x, y in fields if x != y]


def _text(value: object) -> str:
    return printable(" ".join(value) or "none" if isinstance(value, tuple) else str(value))
