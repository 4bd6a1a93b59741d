"""All that decides bits: where a program ran. Part of the claim; compared with the verifier's own."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated

import jax
import jaxlib.version
import msgspec

from pol_jax.errors import printable

_VECTOR_FLAGS = ("sse4", "avx", "fma", "amx", "asimd", "sve")

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


def current_environment() -> Environment:
    """The environment of this process, on jax's default device."""
    device = jax.devices()[0]
    cpu, features = processor()
    return Environment(
        platform=device.platform,
        platform_version=device.client.platform_version,
        device_kind=device.device_kind,
        device_count=jax.device_count(),
        process_count=jax.process_count(),
        jax=jax.__version__,
        jaxlib=jaxlib.version.__version__,
        xla_flags=tuple(sorted(os.environ.get("XLA_FLAGS", "").split())),
        machine=platform.machine(),
        cpu=cpu,
        cpu_features=features,
        cpu_count=_processors(),
        collectives=_collectives(),
        shardings=(),
    )


def describe_processors() -> str:
    """What XLA compiles for on CPUs, beside its own version and flags: kind and number of this machine's processors."""
    cpu, features = processor()
    return f"{platform.machine()}, {cpu}, {' '.join(features)}, {_processors()}"


def _processors() -> int:
    """How many the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _collectives() -> str:
    """What processes on CPUs talk with; with one process, nothing."""
    if jax.process_count() == 1:
        return "none"
    chosen = jax.config.jax_cpu_collectives_implementation  # type: ignore[attr-defined, unused-ignore]
    return str(chosen or "none")


def differences(a: Environment, b: Environment) -> list[str]:
    """What differs between two environments, one line each."""
    fields = ((name, getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    return [f"{name}: {_text(x)} against {_text(y)}" for name, x, y in fields if x != y]


def _text(value: object) -> str:
    return printable(" ".join(value) or "none" if isinstance(value, tuple) else str(value))


def processor() -> tuple[str, tuple[str, ...]]:
    """Model and vector instruction sets, from Linux's cpuinfo; elsewhere what Python's platform module says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown", ()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    model = fields.get("model name", platform.processor() or "unknown")
    return model, tuple(sorted(flag for flag in flags if flag.startswith(_VECTOR_FLAGS)))
