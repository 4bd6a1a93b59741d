"""This module shows a report in the terminal, and writes it to files."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pol_jax.cli.cures import cures
from pol_jax.cli.output_file import check_writable
from pol_jax.cli.terminal import WIDTH_OF_TABLE, harmless, make_console, print_command, print_line
from pol_jax.errors import ACCEPTED, INCONCLUSIVE, REJECTED, StorageError, UsageError, printable
from pol_jax.reports.comparison import Compared
from pol_jax.reports.html import render
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report
from pol_jax.reports.wording.coverage import describe_coverage
from pol_jax.reports.wording.drift import describe_drift
from pol_jax.reports.wording.identity import describe_authorship, describe_leaves, is_settled, summary
from pol_jax.reports.wording.notices import notices
from pol_jax.reports.wording.origins import describe_ancestor
from pol_jax.reports.wording.quantities import describe_distance, describe_steps
from pol_jax.reports.wording.repetition import repeating_command
from pol_jax.reports.wording.verdicts import describe_extent, describe_verdict, is_partial

_MOST_COMPARED = 12
"""The table of comparisons has at most this many rows; the HTML page has more of them."""

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_REACHED: "dim",
}
_VERDICT_STYLES = {Verdict.ACCEPTED: "bold green", Verdict.REJECTED: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}


def check_outputs(json_file: Path | None, html_file: Path | None, model: Path | None) -> None:
    """Check, before a verification that may take hours, what is needed when it ends.

    Args:
        json_file: the report is written to it; ``-`` is standard output.
        html_file: likewise, as a page.
        model: a model at hand, which the process that verifies reads.

    Raises:
        StorageError: a file can't be written.
        UsageError: the model is not there.
    """
    for file in (json_file, html_file):
        if file is not None and str(file) != "-":
            check_writable(file)
    if model is not None and not model.exists():
        raise UsageError(f"{printable(str(model))}: no such file; expected a model (--model)")


def publish_report(report: Report, json_file: Path | None, html_file: Path | None, model: Path | None = None) -> int:
    """Write a report to the files that were asked for, print it, and return the exit code.

    Where there is a ``model`` at hand, an accepted proof is no success if the model is another one.
    """
    if json_file:
        _write(json_file, report.to_json())
    if html_file:
        _write(html_file, render(report).encode())
    # With --json -, standard output is the report alone, for whatever program reads it.
    console = make_console(stderr=str(json_file) == "-")
    print_report(console, report)
    # The verdict is about the proof and stays; the exit code is about the model too (attestation.md, section 9).
    if model is None or report.verdict is not Verdict.ACCEPTED:
        return report.verdict.exit_code
    if report.deployed is None:
        print_line(console, "the model at hand was not compared: what was opened has no final state", "yellow")
        return INCONCLUSIVE
    return REJECTED if report.deployed.difference == "different" else ACCEPTED


def print_report(console: Console, report: Report) -> None:
    """Print what is not proven; model, signer, times, data and verdict; then stages, comparisons, reasons, coverage."""
    if report.authorship is not None and not is_settled(report.authorship):
        print_line(console, describe_authorship(report.authorship), "yellow")
    for line in notices(report):
        print_line(console, line, "yellow")
    for question, answer in summary(report):
        print_line(console, f"{question}: {answer}")
    for line in describe_leaves(report.deployed) if report.deployed else ():
        print_line(console, line, indent=2)
    covered = f"; {describe_coverage(report.coverage, report.policy)}" if report.coverage else ""
    print_line(console, f"verdict: {describe_verdict(report)}{covered}")
    console.print()
    _print_stages(console, report)
    if report.compared:
        console.print()
        _print_comparisons(console, report.compared)
    if len(report.compared) > _MOST_COMPARED:
        console.print(f"{len(report.compared) - _MOST_COMPARED} more comparisons are not shown", style="dim")
    console.print()
    extent = describe_extent(report)
    banner = f"{describe_verdict(report)}; {extent}" if extent else describe_verdict(report)
    style = _VERDICT_STYLES[Verdict.INCONCLUSIVE if is_partial(report) else report.verdict]
    print_line(console, banner, style)
    for line in _lines(report):
        print_line(console, line, indent=2)
    if report.coverage is not None:
        print_command(console, "to repeat this:", _repeating(report), indent=2)


def _print_stages(console: Console, report: Report) -> None:
    """Print the stages as a table, or below each other where a table would break their names."""
    if not console.is_terminal or console.width >= WIDTH_OF_TABLE:
        console.print(_stages(report))
        return
    for stage in report.stages:
        print_line(console, f"{stage.number}  {stage.name}: {stage.outcome}", _STYLES[stage.outcome])
        if stage.detail:
            print_line(console, stage.detail, indent=3)


def _stages(report: Report) -> Table:
    table = Table("", "stage", "outcome", "finding", box=None, pad_edge=False)
    for stage in report.stages:
        style = _STYLES[stage.outcome]
        name, detail = (escape(harmless(text)) for text in (stage.name, stage.detail))
        table.add_row(str(stage.number), name, f"[{style}]{stage.outcome}[/]", detail)
    return table


def _print_comparisons(console: Console, compared: Sequence[Compared]) -> None:
    """Print the comparisons within a tolerance, the worst first: as a table, or below each other as the stages."""
    worst = sorted(compared, key=lambda each: each.severity, reverse=True)[:_MOST_COMPARED]
    names = ("error", "tolerance", "limit", "update")
    table = Table("compared", *names, "outcome", box=None, pad_edge=False)
    as_table = not console.is_terminal or console.width >= WIDTH_OF_TABLE
    for each in worst:
        outcome, steps = Outcome(each.outcome), describe_steps(each.span)
        values = [describe_distance(getattr(each, name)) for name in names]
        if as_table:
            table.add_row(steps, *values, f"[{_STYLES[outcome]}]{outcome}[/]")
            continue
        print_line(console, f"{steps}: {outcome}", _STYLES[outcome])
        print_line(console, ", ".join(map(" ".join, zip(names, values, strict=True))), indent=3)
    if as_table:
        console.print(table)


def _lines(report: Report) -> list[str]:
    """Return the reasons of the verdict, what is known of earlier proofs and the program, the coverage, and cures."""
    lines = [*report.reasons, *map(describe_ancestor, report.ancestors)]
    if report.program_origin is not Origin.NOT_COMPARED:
        lines.append(f"program: {report.program_origin}")
    if report.claim is not None:
        bytes_by = f"; its bytes by their inventory {report.inventory}" if report.inventory else ""
        lines.append(f"to cite the run: claim {report.claim}{bytes_by}")
    if report.coverage is not None:
        lines.append(describe_coverage(report.coverage, report.policy))
        lines += describe_drift(report)
        lines += [report.public_draw.describe()] if report.public_draw else []
    lines += ["the verifier asked for equal bits only: nothing is accepted within a tolerance"] if report.exact else []
    return [*lines, *cures(report, _called())]


def _called() -> list[str]:
    """Return the words of the command that runs, if one does."""
    context = click.get_current_context(silent=True)
    return list(((context and context.obj) or {}).get("words", ()))


def _repeating(report: Report) -> list[str]:
    """Return the command that was called, with the nonce that it drew, or else the one that the report knows."""
    # The words of the call have names of files, which a report doesn't know.
    words = _called()
    if not words:
        return list(repeating_command(report))
    drawn = any(word.split("=")[0] in {"--nonce", "--nonce-round", "--steps"} for word in words)
    nonce = ["--nonce", report.nonce] if report.nonce and not drawn and words[0] == "verify" else []
    return [shlex.quote(word) for word in ("pol", *words, *nonce)]


def _write(path: Path, content: bytes) -> None:
    """Write a report to a file, or to standard output if the path is ``-``."""
    if str(path) == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error.strerror}") from error
