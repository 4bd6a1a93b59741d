"""The backends of this machine are compared: each replays the workload in a process of its own, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pol_jax.backends.description import Backend
from pol_jax.backends.measurement import reproductions
from pol_jax.backends.results import FORMAT, BackendOutcome, Results
from pol_jax.backends.runner import BackendFailure, run_backend
from pol_jax.backends.workload import Workload, encode_workload
from pol_jax.errors import printable
from pol_jax.program.machine import processor
from pol_jax.progress import Progress, Silent


def compare_backends(
    workload: Workload,
    backends: Sequence[Backend],
    *,
    timeout: int | float = 600,
    machine: str | None = None,
    progress: Progress | None = None,
) -> Results:
    """Replay the steps and segments of an opening under each backend, and measure how far they are off.

    Args:
        workload: what is replayed.
        backends: under what.
        timeout: seconds for each backend.
        machine: its name; None for its processor's.
        progress: told of the backends.
    """
    progress, outcomes = progress or Silent(), list[BackendOutcome]()
    absent: dict[tuple[str, str | None], BackendOutcome] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.npz"
        path.write_bytes(encode_workload(workload))
        progress.begin("comparing backends", len(backends))
        try:
            for backend in backends:
                kind = (backend.platform, backend.python)
                if kind in absent:  # another process would find it missing again
                    outcomes.append(msgspec.structs.replace(absent[kind], backend=_shown(backend)))
                else:
                    outcomes.append(_outcome(workload, backend, path, timeout))
                if outcomes[-1].status == "missing":
                    absent[kind] = outcomes[-1]
                progress.at(len(outcomes))
        finally:
            progress.end()
    return Results(
        format=FORMAT,
        claim=workload.claim,
        program=workload.commitment.program.step,
        task=workload.commitment.task.name,
        machine=printable(machine or processor()[0], 200)[:256],
        outcomes=tuple(outcomes),
    )


def _outcome(workload: Workload, backend: Backend, work_file: Path, timeout: int | float) -> BackendOutcome:
    shown = _shown(backend)
    found = run_backend(backend, work_file, timeout)
    if isinstance(found, BackendFailure):
        return BackendOutcome(shown, found.status, found.reason[:1024])
    try:
        measured = reproductions(workload, found)
    except ValueError as error:
        return BackendOutcome(
            shown, "crashed", f"its states are not those that were asked for: {printable(str(error))}"
        )
    return BackendOutcome(
        backend=shown,
        status="ran",
        environment=found.environment,
        compile_seconds=found.compile_seconds,
        step_seconds=found.step_seconds,
        repeats=found.repeats,
        reproductions=measured,
    )


def _shown(backend: Backend) -> Backend:
    """Return a backend without the path of its interpreter, which means something on this machine alone."""
    return msgspec.structs.replace(backend, python=None)
