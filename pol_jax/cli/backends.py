"""``pol backends`` measures the reproduction error of steps across XLA backends, or merges such results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from pol_jax.backends import results
from pol_jax.backends.comparison import compare_backends
from pol_jax.backends.description import built_in, read_backends, select_backends
from pol_jax.backends.results import Results, read_results, write_results
from pol_jax.backends.summary import backend_summary
from pol_jax.backends.table import table, write_table
from pol_jax.backends.workload import read_workload
from pol_jax.cli.arguments import parse_list
from pol_jax.cli.cures import source_of
from pol_jax.cli.terminal import WIDTH_OF_TABLE, Bars, make_console, print_line, quiet_libraries
from pol_jax.cli.train_options import read_secret
from pol_jax.errors import ACCEPTED, INCONCLUSIVE, BackendError, UsageError
from pol_jax.files import storing
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.proving.opener import open_steps
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.openings import read_opening
from pol_jax.storage.proof import Proof

_SEGMENT = 10
"""The segment that is replayed by default has this many steps, as k in the paper (Jia et al., 2021)."""


@dataclass(frozen=True, kw_only=True)
class BackendsOptions:
    """Backends options are those of ``pol backends``, by their names."""

    opening: Path | None
    merge: bool
    steps: str | None
    config: Path | None
    only: tuple[str, ...]
    d_ref: float | None
    out: Path | None
    machine: str | None
    timeout: float
    task: str | None
    data_dir: Path | None
    private: Path | None


def backends_command(paths: Sequence[Path], options: BackendsOptions) -> int:
    """Replay on this machine, or merge results of others; print and write them, and return the exit code."""
    quiet_libraries()
    parts = _merged(paths, options) if options.merge else (_measured(paths, options),)
    out, d_ref = options.out, options.d_ref
    console = make_console()
    console.print(backend_summary(parts, d_ref, narrow=console.is_terminal and console.width < WIDTH_OF_TABLE))
    if out:
        print_line(console, _write(out, parts, d_ref, travels=not options.merge))
    return ACCEPTED if any(each.status == "ran" for part in parts for each in part.outcomes) else INCONCLUSIVE


def _measured(paths: Sequence[Path], options: BackendsOptions) -> Results:
    """Replay steps of the one proof, or of the opening, on this machine."""
    opening = options.opening
    if len(paths) + (opening is not None) != 1:
        raise UsageError("what shall be replayed? give one PROOF, or --opening FILE")
    chosen = select_backends((*built_in(), *(read_backends(options.config) if options.config else ())), options.only)
    wanted = None if options.steps is None else parse_list(options.steps)
    bars = Bars()
    try:
        opened = _read(opening) if opening else _open(paths[0], wanted, options, bars)
        workload = read_workload(opened, wanted)
        return compare_backends(workload, chosen, timeout=options.timeout, machine=options.machine, progress=bars)
    finally:
        bars.end()


def _merged(paths: Sequence[Path], options: BackendsOptions) -> tuple[Results, ...]:
    for name in ("opening", "steps", "config", "only", "machine"):
        if getattr(options, name):
            raise UsageError(f"--{name}: has no meaning with --merge, which replays nothing")
    if not paths:
        raise UsageError("--merge: which files? give those with results that pol backends has written")
    return results.merge([read_results(path) for path in paths])


def _read(opening: Path) -> Opening:
    """Read an opening; this process uses the CPU, and leaves accelerators to the processes that it starts."""
    jax.config.update("jax_platforms", "cpu")
    return read_opening(opening, Limits())


def _open(path: Path, steps: Sequence[int] | None, options: BackendsOptions, bars: Bars) -> Opening:
    """Make an opening of a proof on this machine."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave a GPU's memory to the processes that replay
    secret = read_secret(options.private) if options.private else None
    try:
        with open_apart(path) as proof:
            source = source_of(options.task, options.data_dir)(proof.commitment)
            return open_steps(proof, source, _few(proof) if steps is None else steps, secret=secret, progress=bars)
    except BackendError as error:
        raise BackendError(
            f"{error}; or use the prover's opening: pol open on that machine, pol backends --opening on this one"
        ) from error


def _few(proof: Proof) -> set[int]:
    """Return the first step, the last one, and a segment in the middle that begins at a checkpoint."""
    last, interval = proof.segments.steps, proof.segments.interval
    middle = last // 2 // interval * interval
    return {1, last, *range(middle + 1, min(middle + _SEGMENT, last) + 1)}


def _write(out: Path, parts: Sequence[Results], d_ref: float | None, *, travels: bool) -> str:
    """Write results, tables and figures, and return what was written, in words."""
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
    # A file of results is that of one machine; merged ones are in the tables alone.
    if travels:
        write_results(out / "results.json", parts[0])
    write_table(table(parts, d_ref), out / "results.parquet", out / "results.csv")
    try:
        from pol_jax.backends.plots import write_plots
    except ModuleNotFoundError:
        return f"wrote results and tables to {out}; figures need matplotlib: pip install 'pol_jax[plots]'"
    names = sorted({path.name for path in write_plots(parts, out)})
    figures = ", ".join(names) or "no figures, because there is no error to draw"
    return f"wrote results and tables to {out}, and {figures}"
