"""An opening, and what backends make of it, measured once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from measured_backends import SOURCE, STEPS, interpreter, outcome, variables_with_cache
from msgspec.structs import replace

from pol_jax.backends import comparison, runner
from pol_jax.backends.comparison import compare_backends
from pol_jax.backends.description import Backend
from pol_jax.backends.results import Results
from pol_jax.backends.runner import BackendEnvironment
from pol_jax.backends.workload import Workload, read_workload
from pol_jax.protocol.opening import Opening
from pol_jax.proving.opener import open_steps
from pol_jax.storage.proof import open_proof

AS_IT_COMES = (Backend("cpu", "cpu"),)


@pytest.fixture(scope="session")
def opening(plain_proof: Path) -> Opening:
    return open_steps(open_proof(plain_proof), SOURCE, STEPS)


@pytest.fixture(scope="session")
def workload(opening: Opening) -> Workload:
    return read_workload(opening)


@pytest.fixture(scope="session")
def ran() -> dict[str, runner.BackendRun]:
    """What the processes gave, by the backend's name."""
    return {}


def compare_once(workload: Workload, backends: Sequence[Backend], ran: dict[str, Any]) -> Results:
    """Compare backends, each of which is started once."""

    def run(backend: Backend, *arguments: Any) -> Any:
        if backend.name not in ran:
            ran[backend.name] = runner.run_backend(backend, *arguments)
        return ran[backend.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "run_backend", run)
        patch.setattr(runner, "_variables", variables_with_cache)
        return compare_backends(workload, backends, machine="here")


@pytest.fixture(scope="session")
def as_it_comes(workload: Workload, ran: dict[str, runner.BackendRun]) -> Results:
    """What this machine makes of the opening without any option."""
    return compare_once(workload, AS_IT_COMES, ran)


@pytest.fixture(scope="session")
def measured(
    workload: Workload, ran: dict[str, runner.BackendRun], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Results, dict[str, runner.BackendRun]]:
    """What this machine makes of the opening, failures of every kind among it; and what the processes gave."""
    folder = tmp_path_factory.mktemp("interpreters")
    backends = (
        *AS_IT_COMES,
        Backend("cpu, no optimisation", "cpu", ("--xla_backend_optimization_level=0",)),
        Backend("no such flag", "cpu", ("--xla_no_such_flag=1",)),
        Backend("cuda", "cuda"),
        Backend("cuda, deterministic", "cuda", ("--xla_gpu_exclude_nondeterministic_ops=true",)),
        Backend("no interpreter", "cpu", python=str(folder / "nowhere")),
        Backend("crashes", "cpu", python=interpreter(folder / "crashes", "kill -SEGV $$")),
        Backend("says nothing", "cpu", python=interpreter(folder / "silent", "exit 0")),
        Backend("no jax", "cpu", python=interpreter(folder / "bare", "echo 'ModuleNotFoundError: jax' >&2; exit 1")),
    )
    return compare_once(workload, backends, ran), ran


@pytest.fixture(scope="session")
def results(measured: tuple[Results, dict[str, runner.BackendRun]]) -> Results:
    return measured[0]


@pytest.fixture
def elsewhere(results: Results) -> Results:
    """What a machine with a GPU might have sent."""
    gpu = BackendEnvironment("gpu", "cuda 13", "NVIDIA H100", 1, 8, "0.12.0", "0.12.0", "3.12.1")
    other = outcome(results, "cpu, no optimisation")
    ran = replace(other, backend=Backend("cuda", "cuda"), environment=gpu)
    return replace(results, machine="a GPU host", outcomes=(ran, replace(ran, backend=Backend("cpu", "cpu"))))
