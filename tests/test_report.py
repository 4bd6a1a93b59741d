"""What a report holds beside its verdict: the course of the run, the replays, their words, and its JSON."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from conftest import NONCE
from forge import Forger
from rich.console import Console

from pol_jax.cli.report_screen import print_report
from pol_jax.cli.verify import _policy, parse_list
from pol_jax.judging.verdict import Judgement, judge_closely
from pol_jax.protocol.challenge import AllSegments, JointSegments, ListedSegments, Policy, RandomSegments, TopSegments
from pol_jax.reports.curves import MOST_POINTS, Curve, Point, Update, thin
from pol_jax.reports.report import Compared, Outcome, Report, Verdict, json_schema
from pol_jax.reports.wording import describe_distance, describe_policy, describe_replay, options, ranges
from pol_jax.sandbox.verify import verify as verify_apart
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.proof_verifier import verify

SCHEMA = Path(__file__).parents[1] / "docs" / "report.schema.json"


@pytest.mark.parametrize("steps", [1, 7, MOST_POINTS, MOST_POINTS + 1, 12_345])
def test_curve_is_bounded_and_has_means_of_equal_stretches(steps: int) -> None:
    losses = np.random.default_rng(steps).normal(size=steps)
    curve = Curve(steps)
    curve.add(0, None)
    for step, loss in enumerate(losses.tolist(), 1):
        curve.add(step, loss)
    points = curve.points()
    assert len(points) == min(steps, MOST_POINTS)
    assert [point.first for point in points] == [1, *(point.last + 1 for point in points[:-1])]
    assert points[-1].last == steps
    lengths = {point.last - point.first for point in points}
    assert max(lengths) - min(lengths) <= 1
    for point in points:
        assert point.loss == pytest.approx(losses[point.first - 1 : point.last].mean())


def test_loss_that_is_not_finite_survives_json_as_null() -> None:
    curve = Curve(4)
    for step, loss in enumerate((1.0, math.nan, math.inf, -math.inf), 1):
        curve.add(step, loss)
    assert [point.loss for point in curve.points()] == [1.0, None, None, None]
    assert msgspec.json.decode(msgspec.json.encode(curve.points()), type=tuple[Point, ...]) == curve.points()


def test_updates_are_thinned_to_the_largest() -> None:
    updates = [Update(6 * at, 6 * at + 6, float(at % 7)) for at in range(1000)]
    thinned = thin(updates)
    assert len(thinned) == MOST_POINTS
    assert (thinned[0], thinned[-1].stop) == (Update(0, 30, 4.0), 6000)
    assert thin(updates[:3]) == tuple(updates[:3])
    assert thin([]) == ()
    updates[3] = Update(18, 24, None)
    assert thin(updates)[0].magnitude is None


def test_report_has_curve_and_replays(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=ListedSegments((1, 3)), nonce=NONCE)
    losses = [row.loss_value for row in open_proof(plain_proof).rows()][1:]
    assert report.task == "tiny plain"
    assert [(point.first, point.loss) for point in report.curve] == list(enumerate(losses, 1))
    assert [(each.segment, each.start, each.stop, each.mismatch) for each in report.replays] == [
        (1, 6, 12, None),
        (3, 18, 24, None),
    ]
    assert report.self_test is not None
    assert describe_replay(report.self_test) == "steps 1 to 6: the replay equals the ledger, bit for bit"
    assert [(each.start, each.stop) for each in report.updates] == [(0, 6), (6, 12), (12, 18), (18, 24)]
    assert report.drift is not None
    assert report.drift.updates == 4
    assert report.drift.tolerated == 0


def test_report_names_the_step_that_differs(proof_copy: Path) -> None:
    forger = Forger(proof_copy)
    forger.change(9, state=bytes(32))
    forger.write()
    report = verify_apart(proof_copy, tiny.plain().source, policy=AllSegments(), nonce=NONCE)
    assert [each.mismatch for each in report.replays] == [None, 9, None, None]
    assert (
        describe_replay(report.replays[1])
        == "steps 7 to 12: the replay of step 9 differs from the ledger (state_digest)"
    )
    assert report.coverage is not None
    assert report.coverage.replayed == tuple(each.segment for each in report.replays)


def compared(start: int, stop: int, outcome: Outcome, error: float | None) -> Compared:
    return Compared(start, stop, outcome, ("far",), 0.5, 1e-9, 1e-8, 5e-4, error, 0.0, 0.0, 0.0, False)


def test_reasons_name_the_steps_that_were_compared() -> None:
    exactly = Judgement(Verdict.INCONCLUSIVE, ("other bits",), Outcome.NOT_REACHED, Outcome.INCONCLUSIVE)
    for start, stop, words in (
        (-1, 0, "stage 7, initial state: the initial state is"),
        (5, 6, "stage 9, replay: step 6 is"),
        (0, 6, "stage 9, replay: steps 1 to 6 are"),
    ):
        judgement = judge_closely(exactly, [compared(start, stop, Outcome.FAILED, 1.0)], 0, "step")
        assert judgement.reasons == (f"{words} not what this machine gives: far", "other bits")


def test_terminal_lists_the_worst_comparisons_first(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=ListedSegments((1,)), nonce=NONCE)
    close = [compared(at, at + 1, Outcome.PASSED, at * 1e-10) for at in range(20)]
    open_ones = [compared(-1, 0, Outcome.INCONCLUSIVE, 1e-4), compared(30, 36, Outcome.INCONCLUSIVE, None)]
    false = compared(36, 37, Outcome.FAILED, 0.25)
    console = Console(record=True, width=120, file=StringIO())
    print_report(console, msgspec.structs.replace(report, compared=(*close, *open_ones, false)))
    _, _, table = console.export_text().partition("compared ")
    rows = [line.split() for line in table.splitlines()[1:14]]
    assert rows[0] == ["step", "37", "2.5e-01", "1.0e-08", "5.0e-04", "5.0e-01", "failed"]
    assert rows[1][:6] == ["steps", "31", "to", "36", "not", "finite"]
    assert rows[2] == ["the", "initial", "state", "1.0e-04", "1.0e-08", "5.0e-04", "5.0e-01", "inconclusive"]
    assert [row[1] for row in rows[3:12]] == [str(step) for step in range(20, 11, -1)]
    assert rows[12] == ["11", "more", "comparisons", "are", "not", "shown"]
    assert describe_distance(0.0) == "0"


def test_updates_are_reported_where_the_policy_ranks_them(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=TopSegments(1), nonce=NONCE)
    assert [(each.start, each.stop) for each in report.updates] == [(0, 6), (6, 12), (12, 18), (18, 24)]
    assert all(each.magnitude and each.magnitude > 0 for each in report.updates)
    assert msgspec.json.decode(report.to_json(), type=Report) == report


def test_proof_that_fails_early_has_no_course(proof_copy: Path) -> None:
    (proof_copy / "records").unlink()
    report = verify(proof_copy, tiny.plain().source, nonce=NONCE)
    assert (report.task, report.curve, report.replays, report.self_test) == (None, (), (), None)


@pytest.mark.parametrize(
    "policy",
    [
        AllSegments(),
        ListedSegments((0, 3, 7, 8, 9)),
        RandomSegments(0.9, 1 / 3),
        TopSegments(2, "cosine"),
        JointSegments(1, "l1", 0.75, 0.1),
    ],
)
def test_options_ask_for_the_same_policy(policy: Policy) -> None:
    words = options(policy).split()
    given = dict(zip(words[::2], words[1::2], strict=False))
    share = {name: float(given[name]) if name in given else None for name in ("--confidence", "--fraction")}
    asked = _policy(
        share["--confidence"],
        share["--fraction"],
        int(given["--top-q"]) if "--top-q" in given else None,
        given.get("--metric"),  # type: ignore[arg-type]
        given.get("--segments"),
        words == ["--all"],
    )
    assert asked == policy
    assert describe_policy(policy)


def test_ranges_are_what_lists_are_parsed_from() -> None:
    assert ranges([0, 3, 7, 8, 9]) == "0,3,7-9"
    for numbers in ((4,), (0, 1, 2), (5, 3, 3, 4), tuple(range(0, 100, 3))):
        assert parse_list(ranges(numbers)) == numbers


def test_schema_in_the_documents_is_that_of_the_code() -> None:
    cure = (
        "python -c 'from pol_jax.reports import report as r; print(end=r.json_schema().decode())'"
        " > docs/report.schema.json"
    )
    assert SCHEMA.read_bytes() == json_schema(), cure
    assert set(json.loads(SCHEMA.read_bytes())["$defs"]["Report"]["required"]) == set(Report.__struct_fields__)
