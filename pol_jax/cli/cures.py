"""Errors and reports get a cure here, in options of the command line: the texts of the core name none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pol_jax.errors import DataDirectoryError, UsageError
from pol_jax.judging.drift import drift_objection
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report
from pol_jax.training.task import Source, Task, load_task
from pol_jax.verifying.built_in_records import UnknownTaskError, built_in_source


def load_named(name: str, data_dir: Path | None, steps: int | None = None) -> Task:
    """Return the task called ``name``; if its data set needs a directory, the error says which option gives one."""
    with _naming_data_dir():
        return load_task(name, data_dir=data_dir, steps=steps)


def source_of(task: str | None, data_dir: Path | None) -> Callable[[Commitment], Source]:
    """Return a function that finds the records of a proof: those of the named task, or else of the built-in one.

    Raises:
        UsageError: there is no such task.
    """
    if not task:
        return source_of_built_in(data_dir)
    source = load_named(task, data_dir).source
    return lambda _: source


def source_of_built_in(data_dir: Path | None) -> Callable[[Commitment], Source]:
    """Return a function that finds the records of the built-in task that a proof names.

    If the proof names another task, its error says which option names the task's records.
    """
    find = built_in_source(data_dir)

    def find_or_advise(commitment: Commitment) -> Source:
        try:
            with _naming_data_dir():
                return find(commitment)
        except UnknownTaskError as error:
            raise UsageError(f"{error} (--task)") from error

    return find_or_advise


@contextmanager
def _naming_data_dir() -> Iterator[None]:
    try:
        yield
    except DataDirectoryError as error:
        raise UsageError(f"{error} (--data-dir)") from error


def cures(report: Report, called: Sequence[str] = ()) -> list[str]:
    """Return what could make an inconclusive report conclusive, one line each.

    Args:
        report: to be told of.
        called: the words of the command that made it; what they ask for already cures nothing.
    """
    if report.verdict is not Verdict.INCONCLUSIVE or report.coverage is None:
        return []
    lines = [] if "--any-program" in called else _cures_of_program(report)
    if report.coverage.unit == "step":
        return [*lines, *_cures_of_opening(report)]
    latest = report.ancestors[-1].provenance if report.ancestors else report.provenance
    # Stages are numbered from 1 (section 13), and a report has all nine.
    initial = report.stages[Stage.INITIAL_STATE.value - 1]
    if initial.outcome is Outcome.INCONCLUSIVE and latest and latest.claim is not None:
        lines.append(f"to verify the proof of the claim {latest.claim} too: add --parent DIR")
    several = [each for each in report.compared if each.start >= 0 and each.stop > each.start + 1]
    if any(each.outcome is Outcome.INCONCLUSIVE for each in several):
        lines.append("to ask the prover for an opening of single steps: pol challenge, then pol open")
    return lines


def _cures_of_program(report: Report) -> list[str]:
    if report.program_origin is Origin.DIFFERS:
        return ["to judge another program than that of the source, which you should read first: add --any-program"]
    tolerated = [*report.compared, *(each for each in report.ancestors if each.mode is Mode.TOLERANCE)]
    if report.program_origin is Origin.NOT_COMPARED and tolerated:
        return ["to judge the program within a tolerance: add --task, or --any-program once you have read it"]
    return []


def _cures_of_opening(report: Report) -> list[str]:
    if report.stages[Stage.CHALLENGE.value - 1].outcome is not Outcome.INCONCLUSIVE:
        return _cures_of_drift(report)
    return ["to ask the prover for what is missing: pol challenge, then pol open, which adds the ends of the run"]


def _cures_of_drift(report: Report) -> list[str]:
    """Return how to know more of what tolerances add up to: each step that was drawn tells of those that were not."""
    if report.drift is None or drift_objection(report.drift) is None:
        return []
    return ["to know more of what tolerances add up to: challenge more steps, or name the leaves that count (--leaves)"]
