"""`pol export` writes the model as a file that names its claim, and a model card."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import pytest
from commands import pol
from example_reports import HOSTILE
from forge import claim_of
from safetensors import safe_open

from pol_jax.attesting.digests import digest_arrays
from pol_jax.reports.model_card import Exported, model_card
from pol_jax.reports.report import Report
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.model_files import read_model
from pol_jax.storage.proof import open_proof

pytestmark = pytest.mark.usefixtures("in_process")


def test_the_model_names_its_claim_and_is_the_proof_s(signed: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    done = pol("export", signed / "proof", "--safetensors", out)
    assert done.exit_code == 0, done.output
    claim = claim_of(signed / "proof").digest().hex()
    with safe_open(out, "np") as file:
        about = file.metadata()
        assert sorted(file.keys()) == ["params.b", "params.w"]
    digest = digest_arrays(select_parameters(read_final_state(open_proof(signed / "proof")))).blake3
    assert about == {"pol_jax.claim": claim, "pol_jax.final_parameters.blake3": digest}
    again = pol("export", signed / "proof", "--safetensors", tmp_path / "again.safetensors")
    assert (again.exit_code, (tmp_path / "again.safetensors").read_bytes()) == (0, out.read_bytes())
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "again.safetensors"}


def test_a_model_that_can_t_be_written_is_one_line_and_nothing_beside_it_changes(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refused = pol("export", signed / "proof", "--safetensors", tmp_path / "file" / "model.safetensors")
    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (2, 1), refused.output
    (tmp_path / "model.safetensors.tmp").write_text("somebody else's")
    assert pol("export", signed / "proof", "--safetensors", tmp_path / "model.safetensors").exit_code == 0
    assert (tmp_path / "model.safetensors.tmp").read_text() == "somebody else's"


def test_a_hub_has_card_public_part_and_report_and_its_model_is_the_proof_s(signed: Path, tmp_path: Path) -> None:
    signer, report, hub = (signed / "signer").read_text().strip(), tmp_path / "report.json", tmp_path / "hub"
    verify = ("verify", signed / "proof", "--task", "tiny:plain", "--segments", "0", "--signer", signer)
    assert pol(*verify, "--json", report).exit_code == 0
    done = pol("export", signed / "proof", "--hub", hub, "--report", report)
    assert done.exit_code == 0, done.output
    found = {path.name for path in hub.iterdir()}
    assert found == {"README.md", "model.safetensors", "proof-of-learning", "report.html", "report.json"}
    card = (hub / "README.md").read_text()
    for words in ("Verdict: **accepted, bit for bit**", claim_of(signed / "proof").digest().hex(), signer, "`loss` of"):
        assert words in card
    tied = pol(*verify, "--model", hub)
    assert (tied.exit_code, "final parameters, bit for bit" in tied.stdout) == (0, True)
    assert pol("check", hub / "proof-of-learning", "--signer", signer).exit_code == 0


def test_a_card_without_a_report_says_that_nobody_verified(signed: Path, tmp_path: Path) -> None:
    assert pol("export", signed / "proof", "--hub", tmp_path / "hub").exit_code == 0
    assert "Whoever wrote this card verified nothing." in (tmp_path / "hub" / "README.md").read_text()
    assert read_model(tmp_path / "hub").keys() == {"params.b", "params.w"}


def test_wrong_calls_leave_nothing(signed: Path, runs: Path, tmp_path: Path) -> None:
    report, other = tmp_path / "report.json", tmp_path / "other.json"
    report.write_text("{}")
    verify = ("verify", runs / "a", "--task", "tiny:plain", "--segments", "0")
    assert pol(*verify, "--json", other).exit_code == 0
    (tmp_path / "there").write_text("")
    unfinished = Path(shutil.copytree(runs / "a", tmp_path / "unfinished"))
    (unfinished / "claim.json").unlink()
    damaged = Path(shutil.copytree(runs / "a", tmp_path / "damaged"))
    shutil.rmtree(next((damaged / "checkpoints").glob("*12")))
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out"
    for code, arguments in (
        (2, ()),
        (2, ("--hub", out, "--safetensors", out)),
        (2, ("--safetensors", out, "--report", report)),
        (2, ("--safetensors", tmp_path / "there")),
        (2, ("--hub", out, "--report", report)),
        (2, ("--hub", out, "--report", other)),
        (2, ("--hub", signed / "proof" / "hub")),
    ):
        wrong = pol("export", signed / "proof", *arguments)
        assert (wrong.exit_code, len(wrong.stderr.strip().splitlines())) == (code, 1), wrong.output
    for proof, code in ((unfinished, 2), (damaged, 1)):
        assert pol("export", proof, "--hub", out).exit_code == code
    assert sorted(tmp_path.iterdir()) == before


def test_a_card_runs_no_markup_of_the_prover_s(signed: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert pol("verify", signed / "proof", "--task", "tiny:plain", "--segments", "0", "--json", report).exit_code == 0
    found = Report.from_json(report.read_bytes())
    assert found.data is not None
    hostile = msgspec.structs.replace(found, data=msgspec.structs.replace(found.data, compared=HOSTILE), task=HOSTILE)
    model = Exported(HOSTILE, "0" * 64, "1" * 64, None, 1, {f"{HOSTILE}`": 1.0}, "model.safetensors")
    card = model_card(model, hostile)
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"```sh.*?```", "", card, flags=re.DOTALL))
    assert not re.search(r"(?<!\\)<", outside)
    assert "\u202e" not in card
    assert "\x00" not in card
