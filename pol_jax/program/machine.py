"""This module describes the machine and the software that decide the bits of a program's results (section 2.2)."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import jax
import jaxlib.version

from pol_jax.protocol.environment import Environment

_VECTOR_FLAGS = ("sse4", "avx", "fma", "amx", "asimd", "sve")


def current_environment() -> Environment:
    """Return the environment of this process, on jax's default device."""
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
    """Return kind and number of this machine's processors, which XLA compiles for beside its version and flags."""
    cpu, features = processor()
    return f"{platform.machine()}, {cpu}, {' '.join(features)}, {_processors()}"


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _collectives() -> str:
    """Return the implementation of collectives between processes on CPUs, or "none" if there is one process."""
    if jax.process_count() == 1:
        return "none"
    chosen = jax.config.jax_cpu_collectives_implementation  # type: ignore[attr-defined, unused-ignore]
    return str(chosen or "none")


def processor() -> tuple[str, tuple[str, ...]]:
    """Return model and vector instruction sets of the processor, from Linux's cpuinfo or Python's platform module."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown", ()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    model = fields.get("model name", platform.processor() or "unknown")
    return model, tuple(sorted(flag for flag in flags if flag.startswith(_VECTOR_FLAGS)))
