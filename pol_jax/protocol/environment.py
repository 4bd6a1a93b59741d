"""All that decides bits: where a program ran. Part of the claim; compared with the verifier's own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pol_jax.errors import printable

Count = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backend.

    Attributes:
        platform: ``cpu``, ``cuda``, ``rocm`` or ``tpu``, as jax names it.
        platform_version: the runtime's own version.
        device_kind: the device's name.
        device_count: devices of all processes.
        process_count: processes.
        jax: version of jax.
        jaxlib: version of jaxlib.
        xla_flags: the words of ``XLA_FLAGS``, sorted.
        machine: processor architecture.
        cpu: processor model.
        cpu_features: its vector instruction sets, sorted.
        cpu_count: processors that the process may use: XLA's threads.
        collectives: implementation of cross-process collectives on CPU, or "none".
        shardings: how state leaves are laid out over devices; empty when each is whole on one device.
    """

    platform: Text
    platform_version: Text
    device_kind: Text
    device_count: Count
    process_count: Count
    jax: Text
    jaxlib: Text
    xla_flags: tuple[Text, ...]
    machine: Text
    cpu: Text
    cpu_features: tuple[Text, ...]
    cpu_count: Count
    collectives: Text
    shardings: tuple[Text, ...]


def differences(a: Environment, b: Environment) -> list[str]:
    """What differs between two environments, one line each."""
    fields = ((name, getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    return [f"{name}: {_text(x)} against {_text(y)}" for name, x, y in fields if x != y]


def _text(value: object) -> str:
    return printable(" ".join(value) or "none" if isinstance(value, tuple) else str(value))
