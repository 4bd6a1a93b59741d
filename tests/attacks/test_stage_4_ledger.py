"""Attacks that stage 4 refuses: rows that are missing, renumbered, changed, or too many."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from forge import Forger, refused, take_stock

from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.proving.train import train
from pol_jax.reports.report import Report
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.ledger import segment_file

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.fixture(scope="session")
def sparse_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof with the digest of the state in every fourth row only, and at checkpoints."""
    path = tmp_path_factory.mktemp("sparse") / "proof"
    train(tiny.plain(), path, steps=9, choices=Choices(interval=6, witness_interval=4))
    return path


def test_a_missing_row_is_refused(forger: Forger, verify_plain: Verify) -> None:
    del forger.rows[-1]
    forger.write(steps=24)
    refused(verify_plain(forger.root), 4, segment_file(3), "5 rows, expected 6")


def test_an_added_row_is_refused(forger: Forger, verify_plain: Verify) -> None:
    forger.rows.append(forger.rows[-1])
    forger.change(25, step=25)
    forger.write(steps=24)
    refused(verify_plain(forger.root), 4, segment_file(4), "has 4 segments")


def test_a_renumbered_row_is_refused(forger: Forger, verify_plain: Verify) -> None:
    forger.change(9, step=10)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(1), "other steps than 7 to 12")


def test_row_changed_under_its_root(forger: Forger, verify_plain: Verify) -> None:
    root = forger.claim.ledger_root
    forger.change(9, loss=b"\0\0\0\0")
    forger.write(ledger_root=root)
    refused(verify_plain(forger.root), 4, "ledger", "Merkle root is not the claimed one")


@pytest.fixture(scope="session")
def loose_proof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof of 24 steps, whose commitment lets the prover choose the end."""
    path = tmp_path_factory.mktemp("loose") / "proof"
    path.mkdir()
    choices = Choices(interval=6, seed="loose", may_stop_early=True)
    write_commitment(path, tiny.plain(), choices, Silent(), steps=2**26)
    train(tiny.plain(), path, steps=24)
    return path


@pytest.fixture
def loose(loose_proof: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(loose_proof, tmp_path / "loose")))


def test_an_early_end_is_accepted_and_told(loose_proof: Path, verify_plain: Verify) -> None:
    report = verify_plain(loose_proof)
    assert report
    assert any("the prover chose where the run ends" in reason for reason in report.reasons)


def test_a_claim_of_fewer_steps_is_refused(loose: Forger, verify_plain: Verify) -> None:
    loose.write(steps=18)
    refused(verify_plain(loose.root), 4, segment_file(3), "the ledger of 18 steps has 3 segments")


def test_shortened_run_with_the_last_state(loose: Forger, verify_plain: Verify) -> None:
    forger = loose
    last = forger.claim.final_state
    del forger.rows[19:], forger.states[24]
    shutil.rmtree(forger.root / checkpoint_name(24))
    forger.write(final_state=last)
    refused(verify_plain(forger.root), 4, "claim.json", "final_state", "row 18")


def test_a_claim_of_more_steps_is_refused(loose: Forger, verify_plain: Verify) -> None:
    loose.write(steps=2**26)
    refused(verify_plain(loose.root), 4, segment_file(3 + 1), "is missing")


@pytest.mark.parametrize(
    ("step", "fields", "problem"),
    [
        (9, {"state": None}, "row 9: state_digest is missing"),
        (12, {"state": None}, "row 12: state_digest is missing"),
        (24, {"state": None}, "row 24: state_digest is missing"),
        (9, {"metrics": b""}, "row 9: metrics: got 0, expected 2"),
        (9, {"metrics": bytes(4)}, "row 9: metrics: got 1, expected 2"),
        (9, {"metrics": bytes(12)}, "row 9: metrics: got 3, expected 2"),
        (0, {"metrics": bytes(8)}, "row 0: metrics: got 2, expected 0"),
    ],
)
def test_row_without_what_it_must_have(
    forger: Forger, verify_plain: Verify, step: int, fields: dict[str, Any], problem: str
) -> None:
    forger.change(step, **fields)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(max(0, (step - 1) // 6)), problem)


def test_state_digest_where_the_schedule_has_none(sparse_proof: Path, tmp_path: Path, verify_plain: Verify) -> None:
    forger = Forger(Path(shutil.copytree(sparse_proof, tmp_path / "proof")))
    assert [row.step for row in forger.rows if row.state] == [0, 4, 6, 8, 9]
    assert verify_plain(forger.root)
    forger.change(5, state=ODD)
    forger.write()
    refused(verify_plain(forger.root), 4, segment_file(0), "row 5: state_digest must be missing")


def test_exchanged_segments_are_refused(proof_copy: Path, verify_plain: Verify) -> None:
    a, b = (proof_copy / segment_file(segment) for segment in (1, 2))
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)
    refused(verify_plain(proof_copy), 2)
    take_stock(proof_copy)
    refused(verify_plain(proof_copy), 4, segment_file(1), "other steps than 7 to 12")
