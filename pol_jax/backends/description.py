"""A backend to be tried is a platform and what changes its bits; it is built in, or described in a TOML file.

[[backend]]
name = "cpu, older vectors"
platform = "cpu"                             # cpu, cuda, rocm or tpu
xla_flags = ["--xla_cpu_max_isa=AVX"]        # added to those of the environment
matmul_precision = "highest"                 # default, high or highest
threads = 1                                  # of the host
devices = 2                                  # that the host pretends to have; cpu only
python = "/opt/jax-0.9/bin/python"           # another interpreter, with another jax
"""

from __future__ import annotations

import platform as machine
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from pol_jax.errors import UsageError, printable
from pol_jax.files import read_own_file

Platform = Literal["cpu", "cuda", "rocm", "tpu"]
Precision = Literal["default", "high", "highest"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[\w .,:+=/-]+\Z")]
# No white space: XLA splits its flags there, and one of them must not stand for two.
Flag = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^--[\w-]+(=[^\s]*)?\Z")]
ProcessorCount = Annotated[int, msgspec.Meta(ge=1, le=4096)]

_MOST_BYTES: Final = 2**20
_MOST: Final = 256
"""A file has at most this many backends, since each is a process."""


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backend is one way to execute a program: an interpreter, a platform, options and variables.

    Attributes:
        name: for people; unique in a comparison on one machine.
        platform: as ``JAX_PLATFORMS`` names it.
        xla_flags: added to ``XLA_FLAGS``.
        matmul_precision: of the products whose precision the program leaves open; None leaves it open.
        threads: processors of the host that the process may use; None for all.
        devices: that the host pretends to have; None for what there is. The program runs on the first.
        python: interpreter with a jax of its own; None for this one.
    """

    name: Name
    platform: Platform
    xla_flags: tuple[Flag, ...] = ()
    matmul_precision: Precision | None = None
    threads: ProcessorCount | None = None
    devices: ProcessorCount | None = None
    python: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TOML file has a list of backends, at least one."""

    backend: Annotated[tuple[Backend, ...], msgspec.Meta(min_length=1, max_length=_MOST)]


def built_in() -> tuple[Backend, ...]:
    """Return what is worth trying anywhere; what is not there becomes a row that says so."""
    x86 = machine.machine() in ("x86_64", "AMD64")
    # Of the CPU: first the compilations by which a verifier calibrates (protocol.md, section 14.1), then what makes it
    # another backend, such as fewer instructions, threads or more devices.
    return (
        Backend("cpu", "cpu"),
        Backend("cpu, no optimisation", "cpu", ("--xla_backend_optimization_level=0",)),
        Backend("cpu, fast math", "cpu", ("--xla_cpu_enable_fast_math=true",)),
        Backend("cpu, no fusion", "cpu", ("--xla_disable_hlo_passes=fusion",)),
        Backend("cpu, no algsimp", "cpu", ("--xla_disable_hlo_passes=algsimp",)),
        *(Backend(f"cpu, {isa}", "cpu", (f"--xla_cpu_max_isa={isa}",)) for isa in ("SSE4_2", "AVX2") if x86),
        Backend("cpu, 1 thread", "cpu", threads=1),
        Backend("cpu, 2 devices", "cpu", devices=2),
        Backend("cpu, highest precision", "cpu", matmul_precision="highest"),
        Backend("cuda", "cuda"),
        Backend("cuda, deterministic", "cuda", ("--xla_gpu_exclude_nondeterministic_ops=true",)),
        Backend("cuda, no autotuning", "cuda", ("--xla_gpu_autotune_level=0",)),
        Backend("cuda, no triton", "cuda", ("--xla_gpu_enable_triton_gemm=false",)),
        Backend("cuda, highest precision", "cuda", matmul_precision="highest"),
        Backend("rocm", "rocm"),
        Backend("tpu", "tpu"),
        Backend("tpu, highest precision", "tpu", matmul_precision="highest"),
    )


def read_backends(path: Path) -> tuple[Backend, ...]:
    """Return the backends that a TOML file describes.

    Raises:
        UsageError: no such file, no TOML, or a field that is missing, unknown or has no such value; names it.
    """
    return parse_backends(read_own_file(path, _MOST_BYTES, "a few [[backend]] tables"), str(path))


def parse_backends(content: bytes, where: str) -> tuple[Backend, ...]:
    """Return the backends in ``content``.

    Raises:
        UsageError: as `read_backends`.
    """
    try:
        found = msgspec.convert(tomllib.loads(content.decode()), _File, strict=True).backend
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: no TOML: {printable(str(error))}") from None
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{where}: {printable(str(error))}; expected [[backend]] tables with a name and a platform"
        ) from None
    for backend in found:
        if backend.devices is not None and backend.platform != "cpu":
            raise UsageError(f"{where}: {backend.name}: devices: only a cpu can pretend to have more")
    return found


def select_backends(backends: Sequence[Backend], only: Sequence[str]) -> tuple[Backend, ...]:
    """Return those whose name is in ``only``, or whose platform is; all, if that is empty.

    Raises:
        UsageError: a name that no backend has, or that two have.
    """
    twice = [name for name, times in Counter(backend.name for backend in backends).items() if times > 1]
    if twice:
        raise UsageError(f"two backends have the name {twice[0]!r}; each needs its own (cpu, cuda, ... are built in)")
    known = {backend.name for backend in backends} | {backend.platform for backend in backends}
    for name in only:
        if name not in known:
            raise UsageError(f"no backend is called {name!r}; there are: {'; '.join(each.name for each in backends)}")
    return tuple(each for each in backends if not only or each.name in only or each.platform in only)
