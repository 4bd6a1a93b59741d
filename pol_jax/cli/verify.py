"""``pol verify``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pol_jax.cli.terminal import Bars, make_console, quiet_libraries
from pol_jax.cli.train import read_secret
from pol_jax.errors import StorageError, UsageError
from pol_jax.protocol.challenge import (
    AllSegments,
    JointSegments,
    ListedSegments,
    Metric,
    Policy,
    RandomSegments,
    TopSegments,
)
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.reports.html import render
from pol_jax.reports.report import Compared, Origin, Outcome, Report, Verdict
from pol_jax.reports.wording import (
    describe_ancestor,
    describe_coverage,
    describe_distance,
    describe_drift,
    describe_steps,
    notices,
)
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify
from pol_jax.training.task import Source, Task, load_task
from pol_jax.verifying.proof_verifier import built_in_source

_RANGE = re.compile(r"(\d{1,12})(?:-(\d{1,12}))?\Z", re.ASCII)

_MOST_COMPARED = 12
"""Rows of the table of distances; a page has more of them."""

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_REACHED: "dim",
}
_VERDICT_STYLES = {Verdict.ACCEPTED: "bold green", Verdict.REJECTED: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}


def verify_command(
    proof: Path,
    confidence: float | None,
    fraction: float | None,
    top_q: int | None,
    metric: Metric | None,
    segments: str | None,
    everything: bool,
    nonce: str | None,
    task: tuple[str, ...],
    parent: tuple[Path, ...],
    data_dir: Path | None,
    private: Path | None,
    json_file: Path | None,
    html_file: Path | None,
    timeout: float,
    total_timeout: float | None,
    unconfined: bool,
    max_constants: int | None,
    same_program: bool,
    jobs: int | None,
    d_ref: float | None,
) -> int:
    """Verify, print the report, return the exit code."""
    quiet_libraries()
    bars = Bars()
    try:
        report = verify(
            proof,
            _source(task, data_dir),
            policy=_policy(confidence, fraction, top_q, metric, segments, everything),
            nonce=parse_nonce(nonce),
            limits=Limits() if max_constants is None else Limits(constant_bytes=max_constants),
            secret=read_secret(private) if private else None,
            progress=bars,
            bounds=Bounds(silence_seconds=timeout, total_seconds=total_timeout, confined=not unconfined),
            trusted=(lambda commitment, steps: _task(task, commitment, data_dir, steps)) if task else None,
            same_program=same_program,
            parents=parent,
            jobs=jobs or 1,
            d_ref=d_ref,
        )
    finally:
        bars.end()
    return publish(report, json_file, html_file)


def publish(report: Report, json_file: Path | None, html_file: Path | None) -> int:
    """Write a report where it was asked for, print it, return the exit code."""
    if json_file:
        _write(json_file, report.to_json())
    if html_file:
        _write(html_file, render(report).encode())
    print_report(make_console(stderr=str(json_file) == "-"), report)
    return report.verdict.exit_code


def print_report(console: Console, report: Report) -> None:
    """The report as a table, the verdict and its reasons, and what was covered; first what is not proven."""
    for line in notices(report.provenance, report.ancestors):
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    table = Table("", "stage", "outcome", "seen", box=None, pad_edge=False)
    for stage in report.stages:
        style = _STYLES[stage.outcome]
        table.add_row(str(stage.number), stage.name, f"[{style}]{stage.outcome}[/]", escape(stage.detail))
    console.print(table)
    if report.compared:
        console.print()
        console.print(_distances(report.compared))
    if len(report.compared) > _MOST_COMPARED:
        console.print(f"and {len(report.compared) - _MOST_COMPARED} more", style="dim")
    console.print()
    console.print(f"[{_VERDICT_STYLES[report.verdict]}]{report.verdict}[/]")
    for reason in report.reasons:
        console.print(f"  {reason}", markup=False, soft_wrap=True)
    for ancestor in report.ancestors:
        console.print(f"  {describe_ancestor(ancestor)}", markup=False, soft_wrap=True)
    if report.program_origin is not Origin.NOT_COMPARED:
        console.print(f"  program: {report.program_origin}", markup=False)
    _print_coverage(console, report)


def _print_coverage(console: Console, report: Report) -> None:
    if report.coverage is None:
        return
    console.print(f"  {describe_coverage(report.coverage, report.policy)}", markup=False, soft_wrap=True)
    for line in describe_drift(report.drift) if report.drift else ():
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if report.nonce:
        console.print(f"  to repeat the draw: --nonce {report.nonce}", markup=False)


def _distances(compared: Sequence[Compared]) -> Table:
    """The comparisons within a tolerance, the worst first."""
    names = ("error", "tolerance", "limit", "update")
    table = Table("compared", *names, "outcome", box=None, pad_edge=False)
    for each in sorted(compared, key=lambda each: each.severity, reverse=True)[:_MOST_COMPARED]:
        outcome = Outcome(each.outcome)
        values = (describe_distance(getattr(each, name)) for name in names)
        table.add_row(describe_steps(each.start, each.stop), *values, f"[{_STYLES[outcome]}]{outcome}[/]")
    return table


def _source(tasks: tuple[str, ...], data_dir: Path | None) -> Callable[[Commitment], Source]:
    if not tasks:
        return built_in_source(data_dir)
    return lambda commitment: _task(tasks, commitment, data_dir).source


def _task(names: tuple[str, ...], commitment: Commitment, data_dir: Path | None, steps: int | None = None) -> Task:
    """The task for a proof of a chain: the one that there is; of several, the one that the proof names."""
    tasks = [load_task(name, data_dir=data_dir, steps=steps) for name in names]
    if len(tasks) == 1:
        return tasks[0]
    for task in tasks:
        if task.name == commitment.task.name:
            return task
    raise UsageError(f"--task: none of those is called {commitment.task.name!r}; give that of this proof too")


def _policy(
    confidence: float | None,
    fraction: float | None,
    top_q: int | None,
    metric: Metric | None,
    segments: str | None,
    everything: bool,
) -> Policy:
    """The policy that the options ask for; those that are not given are None."""
    chance = {name: x for name, x in (("confidence", confidence), ("fraction", fraction)) if x is not None}
    if sum((segments is not None, everything, top_q is not None)) > 1:
        raise UsageError("--segments, --all and --top-q: give one of them")
    if metric and top_q is None:
        raise UsageError("--metric: says how --top-q measures; give that too")
    if chance and (everything or segments is not None):
        raise UsageError(f"--{next(iter(chance))}: is about random segments; leave out --segments and --all")
    if everything:
        return AllSegments()
    if segments is not None:
        return ListedSegments(parse_list(segments))
    if top_q is None:
        return RandomSegments(**chance)
    return JointSegments(top_q, metric or "l2", **chance) if chance else TopSegments(top_q, metric or "l2")


def parse_list(text: str) -> tuple[int, ...]:
    """Numbers and ranges: ``0,3,7-9`` is 0, 3, 7, 8, 9.

    Raises:
        UsageError: anything else, or more than a million numbers.
    """
    numbers: list[int] = []
    for part in text.split(","):
        found = _RANGE.match(part.strip())
        if not found:
            raise UsageError(f"{text!r}: expected numbers and ranges, such as 0,3,7-9")
        first, last = int(found[1]), int(found[2] or found[1])
        if last - first + len(numbers) > 1_000_000:
            raise UsageError(f"{text!r}: more than a million numbers; use --all")
        numbers += range(first, last + 1)
    return tuple(numbers)


def parse_nonce(text: str | None) -> bytes | None:
    """The bytes of a nonce in hex; None for None."""
    try:
        nonce = None if text is None else bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"--nonce {text!r}: expected hex digits") from None
    if nonce is not None and not 1 <= len(nonce) <= 64:
        raise UsageError(f"--nonce: expected 1 to 64 bytes in hex, got {len(nonce)}")
    return nonce


def _write(path: Path, content: bytes) -> None:
    """Write a report to a file, or to standard output for ``-``."""
    if str(path) == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error.strerror}") from error
