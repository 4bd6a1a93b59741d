"""An environment is what decides the bits of a program's results: this machine and its software (section 2.2)."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import jax
import jaxlib.version
from jax._src import distributed

from pol_jax.protocol.environment import Environment

_VECTOR_FLAGS = ("sse4", "avx", "fma", "amx", "asimd", "sve")
"""Flags of a processor that begin so name instruction sets for which XLA compiles other code (section 2.2)."""

_VIRTUAL_DEVICES = "--xla_force_host_platform_device_count="
"""How many devices the processors count as is in `device_count`, and decides no bits."""
_VARIABLES = ("LIBTPU_INIT_ARGS", "NPROC", "NVIDIA_TF32_OVERRIDE", "TF_XLA_FLAGS")
_VARIABLE_PREFIXES = ("CUBLAS_", "CUDNN_", "NCCL_")
_COMPILER_SETTINGS: Mapping[str, object] = {
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_optimization_level": "UNKNOWN",
}
"""What jax tells XLA's compiler beside its flags, with jax's defaults; no version of jax has to have all of them."""
_LIBRARIES = re.compile(
    r"libtpu|jax-(cuda|rocm)\d*-(pjrt|plugin)|nvidia-(cublas|cudnn|cufft|cusolver|cusparse|nccl)(-cu\d+)?"
)


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
        xla_flags=tuple(sorted(_flags(os.environ.get("XLA_FLAGS", "")))),
        machine=platform.machine(),
        cpu=cpu,
        cpu_features=features,
        cpu_count=_processors(),
        collectives=_collectives(),
        shardings=(),
        variables=_variables(os.environ, jax.config.values),
        libraries=_libraries(device.platform),
    )


def describe_processors() -> str:
    """Return kind and number of this machine's processors, which XLA compiles for beside its version and flags."""
    cpu, features = processor()
    return f"{platform.machine()}, {cpu}, {' '.join(features)}, {_processors()}"


def _flags(variable: str) -> Iterator[str]:
    """Return the words of ``XLA_FLAGS`` that decide bits: into how many devices processors are divided does not."""
    return (word for word in variable.split() if not word.startswith(_VIRTUAL_DEVICES))


def _variables(values: Mapping[str, str], settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return what tells libraries and compiler how to compute, sorted: environment variables, and settings of jax.

    A setting counts as the variable by which it can be set, wherever it was, if it is not the default.
    """
    chosen = {name: x for name, x in values.items() if name in _VARIABLES or name.startswith(_VARIABLE_PREFIXES)}
    changed = {name.upper(): settings[name] for name, x in _COMPILER_SETTINGS.items() if settings.get(name, x) != x}
    # Cut to the length of a text in a claim (section 2.2).
    return tuple(sorted(f"{name}={x}"[:1024] for name, x in (chosen | changed).items()))


def _libraries(device_platform: str) -> tuple[str, ...]:
    """Return names and versions of the installed libraries of accelerators, sorted; none where the CPU computes."""
    if device_platform == "cpu":
        return ()
    found = {(each.metadata["Name"] or "").lower(): each.version for each in distributions()}
    return tuple(sorted(f"{name} {version}" for name, version in found.items() if _LIBRARIES.fullmatch(name)))


def _processors() -> int:
    """Return how many processors this process may use."""
    # By affinity: XLA starts as many threads, and their number decides bits.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _collectives() -> str:
    """Return the implementation of collectives on CPUs that jax uses, or "none" where it uses the one of XLA itself.

    Without `jax.distributed.initialize`, jax ignores its own setting. Accelerators' own are among the variables and
    libraries.
    """
    if jax.devices()[0].platform != "cpu" or distributed.global_state.client is None:
        return "none"
    chosen = jax.config.jax_cpu_collectives_implementation  # type: ignore[attr-defined, unused-ignore]
    return str(chosen or "none")


@cache  # a server's cpuinfo is long, and each verification asks
def processor() -> tuple[str, tuple[str, ...]]:
    """Return model and vector instruction sets of the processor, from Linux's cpuinfo or Python's platform module."""
    try:
        return processor_of(Path("/proc/cpuinfo").read_text())
    except OSError:
        return platform.processor() or "unknown", ()


def processor_of(cpuinfo: str) -> tuple[str, tuple[str, ...]]:
    """Return model and vector instruction sets, sorted, of the first processor in the text of ``/proc/cpuinfo``."""
    # Of the first processor alone: the field says which kind it is, and `cpu_count` how many there are.
    lines = cpuinfo.split("\n\n")[0].splitlines()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    model = fields.get("model name", platform.processor() or "unknown")
    return model, tuple(sorted({flag for flag in flags if flag.startswith(_VECTOR_FLAGS)}))
