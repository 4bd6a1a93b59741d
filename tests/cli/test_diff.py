"""`pol diff` finds the first step at which two runs diverge."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from commands import pol

from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.storage.ledger import segment_file
from pol_jax.storage.proof import open_proof


def test_diff_finds_what_differs(runs: Path, tmp_path: Path) -> None:
    same = pol("diff", runs / "a", runs / "longer")
    assert same.exit_code == 0
    assert (
        "the runs are the same, bit for bit, for all 12 common steps; only one of them continues, to step 18"
        in same.output
    )
    other = pol("diff", runs / "a", runs / "other")
    assert other.exit_code == 1
    assert "commitments differ in nonce: '1' against '2'" in other.output


def test_a_name_of_a_commitment_controls_no_terminal(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "a", tmp_path / "proof")
    file = tmp_path / "proof" / "commitment.json"
    commitment = json.loads(file.read_bytes())
    commitment["task"]["hyperparameters"] = {"\x1b[2Jthe runs are the same": 1}
    file.write_bytes(canonical_bytes(commitment))
    other = pol("diff", runs / "a", tmp_path / "proof")
    assert other.exit_code == 1, other.output
    assert r"task.hyperparameters.\x1b[2Jthe runs are the same" in other.output
    assert "\x1b" not in other.output


def test_diff_finds_the_first_step_that_diverges(proof_copy: Path, plain_proof: Path) -> None:
    from dataclasses import replace

    from pol_jax.storage.ledger import read_segment, seal

    proof = open_proof(proof_copy)
    rows = read_segment(proof_copy, 1, proof.segments.rows(1), proof.commitment.row_layout)
    seal(proof_copy, 1, [replace(row, state=bytes(32)) if row.step >= 9 else row for row in rows])
    diverged = pol("diff", plain_proof, proof_copy)
    assert diverged.exit_code == 1
    assert "diverge at step 9 (of 24 common steps): state_digest" in diverged.output


def test_files_of_ten_gigabytes_are_refused_unread(proof_copy: Path, plain_proof: Path) -> None:
    """A ledger of a finished run, and of one that is not; they are sparse, and take no space."""
    os.truncate(proof_copy / segment_file(3), 10**10)
    for _ in range(2):
        found = pol("diff", plain_proof, proof_copy)
        assert found.exit_code == 1
        assert found.stderr == f"pol: {segment_file(3)}: has more than 1073741824 bytes\n"
        (proof_copy / "claim.json").unlink(missing_ok=True)
