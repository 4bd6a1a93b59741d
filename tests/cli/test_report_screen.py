"""A report on the screen: what is not shown comes first, and the worst comparisons before the others."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny
from example_reports import unfinished
from rich.console import Console
from tiny import NONCE
from unsandboxed import verify

from pol_jax.cli.report_screen import check_outputs, print_report, publish_report
from pol_jax.errors import StorageError, UsageError
from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.identity import Authorship, Deployed, Model, ModelRelation
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.provenance import Origin
from pol_jax.reports.report import Report
from pol_jax.reports.wording.quantities import describe_distance


def shown(width: int = 200, *, terminal: bool = False, **facts: Any) -> list[str]:
    console = Console(record=True, width=width, file=StringIO(), force_terminal=terminal)
    print_report(console, unfinished(**facts))
    return console.export_text().splitlines()


def test_what_nobody_has_shown_comes_first() -> None:
    unsigned = Authorship(None, None, commitment_signed=False, pinned=None)
    lines = shown(authorship=unsigned, verdict=Verdict.ACCEPTED, mode=Mode.BITS)
    assert lines[0].startswith("anonymous: the commitment names no prover")
    assert lines[1] == "program: not compared with any source"
    assert any(line.startswith("verdict: accepted, bit for bit") for line in lines[2:])


def test_a_verdict_stands_beside_what_was_replayed_and_how_to_repeat_it() -> None:
    covered = Coverage("segment", 4, (1,), 24, 6, 0.05, 0.0)
    facts: dict[str, Any] = {
        "coverage": covered,
        "policy": ListedSegments((1,)),
        "claim": "1" * 64,
        "inventory": "2" * 64,
    }
    text = " ".join(" ".join(shown(**facts, verdict=Verdict.ACCEPTED, mode=Mode.BITS)).split())
    for words in (
        "accepted, bit for bit; 6 of 24 steps were replayed, and nothing is known of the others",
        f"to cite the run: claim {'1' * 64}; its bytes by their inventory {'2' * 64}",
        "to repeat this: pol verify",
        "--segments 1",
    ):
        assert words in text
    assert "to repeat this" not in " ".join(shown())


@pytest.mark.parametrize("width", [40, 200])
def test_a_finding_is_no_markup(width: int) -> None:
    """As a table, and below each other where a terminal is too narrow for one."""
    stages = tuple(msgspec.structs.replace(each, detail="[bold]a file[/bold]") for each in unfinished().stages)
    text = "\n".join(shown(width, terminal=True, stages=stages, reasons=("[red]because",)))
    assert text.count("[bold]a file[/bold]") == len(stages)
    assert "[red]because" in text
    assert ("1  limits and names: not reached" in text) == (width == 40)


@pytest.mark.parametrize("width", [40, 200])
def test_a_report_controls_no_terminal(width: int) -> None:
    """Reasons and findings quote a proof, and a process that a proof has taken over may send any."""
    trick = "\x1b[2J\x1b[Hverdict: accepted\u202e"
    stages = tuple(msgspec.structs.replace(each, name=trick, detail=trick) for each in unfinished().stages)
    facts: dict[str, Any] = {"stages": stages, "reasons": (trick,), "claim": trick, "inventory": trick, "task": trick}
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    print_report(console, unfinished(**facts, model=Model(trick, trick, trick)))
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().replace("\n", "").isprintable()


def test_files_are_tried_before_a_verification(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    check_outputs(Path("-"), tmp_path / "page", tmp_path / "model")
    assert not (tmp_path / "page").exists()
    with pytest.raises(StorageError, match="can't be written"):
        check_outputs(None, tmp_path / "no folder" / "page", None)
    with pytest.raises(UsageError, match="expected a model"):
        check_outputs(None, None, tmp_path / "nothing")


def deployed(difference: ModelRelation | None) -> Deployed | None:
    return difference and Deployed(difference, "words", (), 0, True, None, None)


@pytest.mark.parametrize(
    ("verdict", "difference", "model", "code"),
    [
        (Verdict.ACCEPTED, None, False, 0),
        (Verdict.REJECTED, None, False, 1),
        (Verdict.INCONCLUSIVE, None, False, 3),
        (Verdict.ACCEPTED, "equal", True, 0),
        (Verdict.ACCEPTED, "cast", True, 0),
        (Verdict.ACCEPTED, "different", True, 1),
        (Verdict.ACCEPTED, None, True, 3),
        (Verdict.REJECTED, None, True, 1),
    ],
)
def test_an_accepted_proof_of_another_model_is_no_success(
    verdict: Verdict, difference: ModelRelation | None, model: bool, code: int, tmp_path: Path
) -> None:
    report = unfinished(verdict=verdict, deployed=deployed(difference), program_origin=Origin.TRUSTED)
    files = tmp_path / "report.json", tmp_path / "report.html"
    assert publish_report(report, *files, tmp_path / "model" if model else None) == code
    assert Report.from_json(files[0].read_bytes()) == report
    assert files[1].read_text(encoding="utf-8") == report.to_html()


def compared(start: int, stop: int, outcome: Outcome, error: float | None) -> Compared:
    return Compared(start, stop, outcome, ("far",), 0.5, 1e-9, 1e-8, 5e-4, error, 0.0, 0.0, 0.0, False)


def test_terminal_lists_the_worst_comparisons_first(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=ListedSegments((1,)), nonce=NONCE)
    close = [compared(at, at + 1, Outcome.PASSED, at * 1e-10) for at in range(20)]
    open_ones = [compared(-1, 0, Outcome.INCONCLUSIVE, 1e-4), compared(30, 36, Outcome.INCONCLUSIVE, None)]
    failed = compared(36, 37, Outcome.FAILED, 0.25)
    console = Console(record=True, width=120, file=StringIO())
    print_report(console, msgspec.structs.replace(report, compared=(*close, *open_ones, failed)))
    _, _, table = console.export_text().partition("\ncompared ")
    rows = [line.split() for line in table.splitlines()[1:14]]
    assert rows[0] == ["step", "37", "2.5e-01", "1.0e-08", "5.0e-04", "5.0e-01", "failed"]
    assert rows[1][:6] == ["steps", "31", "to", "36", "not", "finite"]
    assert rows[2] == ["the", "initial", "state", "1.0e-04", "1.0e-08", "5.0e-04", "5.0e-01", "inconclusive"]
    assert [row[1] for row in rows[3:12]] == [str(step) for step in range(20, 11, -1)]
    assert rows[12] == ["11", "more", "comparisons", "are", "not", "shown"]
    assert describe_distance(0.0) == "0"
