"""A runner starts the process of a backend. A backend that fails is a result too, which says why."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Final, Literal

import msgspec
import numpy as np

from pol_jax.backends import worker
from pol_jax.backends.description import Backend
from pol_jax.errors import printable

Status = Literal["ran", "missing", "refused", "crashed", "timed out"]
BoundedText = Annotated[str, msgspec.Meta(max_length=1024)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]

_MOST_NOISE: Final = 2**20
_REFUSED_FLAG: Final = re.compile(
    r"(Unknown flags? in XLA_FLAGS: .*|Couldn't interpret value .*|Unknown CPU ISA: .*|Flag parsing failed.*)"
)
"""These are XLA's messages about a flag that it doesn't know, and its mere warning about an unknown instruction set."""


class BackendEnvironment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This environment is where steps were executed, as the process itself says.

    Attributes:
        platform: as jax names it: ``cpu``, ``gpu``, ``tpu``.
        platform_version: the runtime's own version.
        device_kind: the device's name.
        device_count: devices that jax sees.
        cpu_count: processors that the process might use.
        jax: version of jax.
        jaxlib: version of jaxlib.
        python: version of Python.
    """

    platform: BoundedText
    platform_version: BoundedText
    device_kind: BoundedText
    device_count: Annotated[int, msgspec.Meta(ge=1)]
    cpu_count: Annotated[int, msgspec.Meta(ge=1)]
    jax: BoundedText
    jaxlib: BoundedText
    python: BoundedText


class _Info(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``info.json`` has all of these fields if the steps were executed, and else the first two."""

    status: Literal["ran", "missing", "refused"]
    reason: str
    environment: BackendEnvironment | None = None
    compile_seconds: Seconds = 0.0
    step_seconds: Seconds = 0.0
    repeats: bool = False


@dataclass(frozen=True)
class BackendRun:
    """A run holds what a backend gave that executed the steps.

    Attributes:
        environment: where.
        compile_seconds: for the compilation of the step.
        step_seconds: median time of a step.
        repeats: whether each step gave the same bits twice.
        arrays: its results, by name; see `pol_jax.backends.worker`.
    """

    environment: BackendEnvironment
    compile_seconds: float
    step_seconds: float
    repeats: bool
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class BackendFailure:
    """A failure says why a backend did not execute the steps."""

    status: Status
    reason: str


def run_backend(backend: Backend, work: Path, timeout: int | float) -> BackendRun | BackendFailure:
    """Execute ``work`` under a backend, in a process of its own.

    Args:
        backend: which.
        work: the file that `pol_jax.backends.workload.encode_workload` made.
        timeout: seconds that the process may take.
    """
    settings = {name: getattr(backend, name) for name in ("platform", "matmul_precision", "threads")}
    python = backend.python or sys.executable
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as noise:
        # -P: Python would find the modules beside the worker's file first, by names that other packages have too.
        command = [python, "-P", worker.__file__, str(work), folder, msgspec.json.encode(settings).decode()]
        try:
            code = _wait(command, _variables(backend), noise, timeout)
        except subprocess.TimeoutExpired:
            return BackendFailure("timed out", f"took more than {timeout:g} s")
        except OSError as error:
            return BackendFailure("missing", f"its interpreter can't be started: {error.strerror}")
        return _outcome(code, _read_output(noise), Path(folder))


def _wait(command: list[str], variables: dict[str, str], noise: IO[bytes], timeout: int | float) -> int:
    # All output goes to a file: with a pipe, a process that writes much would wait for a reader.
    # A session of its own: Ctrl-C of a terminal ends this process, which then ends the other one below.
    process = subprocess.Popen(  # noqa: S603  # an interpreter that the user named, and our own code
        command, stdin=subprocess.DEVNULL, stdout=noise, stderr=noise, env=variables, cwd="/", start_new_session=True
    )
    try:
        return process.wait(timeout)
    finally:
        process.kill()
        process.wait()


def _variables(backend: Backend) -> dict[str, str]:
    """Return the environment of the process, without a cache: another backend may have made what is in it."""
    flags = [*os.environ.get("XLA_FLAGS", "").split(), *backend.xla_flags]
    if backend.devices is not None:
        flags.append(f"--xla_force_host_platform_device_count={backend.devices}")
    changed = {
        "JAX_PLATFORMS": backend.platform,
        "XLA_FLAGS": " ".join(flags),
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        **({} if backend.threads is None else {"NPROC": str(backend.threads)}),
    }
    paths = {} if backend.python is None else {"PYTHONPATH": ""}  # another interpreter has its own packages
    return os.environ | changed | paths


def _outcome(code: int, said: str, folder: Path) -> BackendRun | BackendFailure:
    # Looked for first: XLA ends the process over an unknown flag, but only warns of an unknown instruction set, and
    # then measures another backend than the one that was asked for.
    flag = _REFUSED_FLAG.search(said)
    if flag:
        return BackendFailure("refused", printable(flag[1][:300]))
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return BackendFailure("crashed", f"died of {name}")
    try:
        info = msgspec.json.decode((folder / "info.json").read_bytes(), type=_Info)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        last = printable(said.splitlines()[-1][:300]) if said else "no message"
        return BackendFailure(
            "missing" if "ModuleNotFoundError" in last else "crashed", f"ended without a result: {last}"
        )
    if info.status != "ran" or info.environment is None:
        return BackendFailure("missing" if info.status == "missing" else "refused", printable(info.reason))
    try:
        with np.load(folder / "states.npz") as stored:
            arrays = dict(stored)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return BackendFailure("crashed", f"its states can't be read: {printable(str(error))}")
    return BackendRun(info.environment, info.compile_seconds, info.step_seconds, info.repeats, arrays)


def _read_output(noise: IO[bytes]) -> str:
    noise.seek(0)
    return noise.read(_MOST_NOISE).decode(errors="replace").strip()
