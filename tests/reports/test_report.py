"""What a report holds beside its verdict: the course of the run, the replays, and its JSON."""

from __future__ import annotations

import html
import json
from pathlib import Path

import msgspec
import pytest
import tiny
from forge import Forger
from places import ROOT
from second_implementation import digest
from tiny import NONCE
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.inventory import Inventory
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import AllSegments, ListedSegments, TopSegments
from pol_jax.reports.outcomes import Outcome
from pol_jax.reports.report import Report, json_schema
from pol_jax.reports.wording.coverage import describe_replay
from pol_jax.sandbox.verify import verify as verify_apart
from pol_jax.storage.inventory import take_inventory
from pol_jax.storage.proof import open_proof

SCHEMA = ROOT / "docs" / "report.schema.json"


def test_report_has_curve_and_replays(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=ListedSegments((1, 3)), nonce=NONCE)
    losses = [row.loss for row in open_proof(plain_proof).rows()][1:]
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
    document = (plain_proof / "inventory.json").read_bytes()
    assert report.inventory == digest("inventory", document, version=2).hex()


@pytest.mark.usefixtures("in_process")
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


def test_updates_are_reported_where_the_policy_ranks_them(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, policy=TopSegments(1), nonce=NONCE)
    assert [(each.start, each.stop) for each in report.updates] == [(0, 6), (6, 12), (12, 18), (18, 24)]
    assert all(each.magnitude and each.magnitude > 0 for each in report.updates)
    assert msgspec.json.decode(report.to_json(), type=Report) == report


def test_proof_that_fails_early_has_no_course(proof_copy: Path) -> None:
    (proof_copy / "records").unlink()
    report = verify(proof_copy, tiny.plain().source, nonce=NONCE)
    assert (report.task, report.curve, report.replays, report.self_test) == (None, (), (), None)
    assert report.inventory is None
    (proof_copy / "inventory.json").write_bytes(take_inventory(proof_copy, Limits()))
    report = verify(proof_copy, tiny.plain().source, nonce=NONCE)
    assert (report.stages[2].outcome, report.task) == (Outcome.FAILED, None)
    assert report.inventory == digest("inventory", (proof_copy / "inventory.json").read_bytes(), version=2).hex()


def test_an_inventory_of_version_1_has_no_digest() -> None:
    assert Inventory(format="pol-jax/1", files={}).digest() is None


def test_schema_in_the_documents_is_that_of_the_code() -> None:
    cure = (
        "python -c 'from pol_jax.reports import report as r; print(end=r.json_schema().decode())'"
        " > docs/report.schema.json"
    )
    assert SCHEMA.read_bytes() == json_schema(), cure
    assert set(json.loads(SCHEMA.read_bytes())["$defs"]["Report"]["required"]) == set(Report.__struct_fields__)


def test_a_report_is_a_page_and_is_shown_in_notebooks(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, nonce=NONCE)
    page = report.to_html()
    assert page == pol_jax.html.render(report)
    shown = report._repr_html_()
    assert shown.startswith('<iframe sandbox=""')
    assert html.unescape(shown.split('srcdoc="')[1].removesuffix('"></iframe>')) == page
