"""`pol inspect` shows what a proof claims, without a replay."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny
from click.testing import CliRunner
from commands import pol
from forge import claim_of

from pol_jax.cli import main as cli
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.storage.proof import Proof, open_proof


def test_inspect_shows_what_is_claimed(runs: Path) -> None:
    shown = pol("inspect", runs / "a")
    assert shown.exit_code == 0
    proof = open_proof(runs / "a")
    final_state = claim_of(runs / "a").final_state
    for text in ("tiny plain", "learning_rate", final_state, proof.commitment.digest().hex(), "loss"):
        assert text in shown.output
    assert "\x1b" not in shown.output


def test_a_run_that_goes_on_while_it_is_shown(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were added after the number of steps was read."""
    finished = open_proof(runs / "a")
    proof = Proof(finished.root, finished.commitment, None)
    proof.__dict__["last_step"] = 5
    monkeypatch.setattr("pol_jax.cli.inspect.open_run_apart", lambda _: nullcontext(proof))
    shown = pol("inspect", runs / "a")
    assert shown.exit_code == 0
    assert "5 so far; the run is not finished" in shown.output


def test_digests_are_never_cut(runs: Path) -> None:
    """They are what people copy, on narrow terminals too."""
    commitment = open_proof(runs / "a").commitment
    for width in ("40", "80"):
        shown = CliRunner().invoke(cli.pol, ["inspect", str(runs / "a")], env={"COLUMNS": width, "TERM": "dumb"})
        for digest in (commitment.digest().hex(), commitment.data.root, claim_of(runs / "a").final_state):
            assert digest in shown.output


@pytest.mark.parametrize(("every", "shown"), [(1, "after every step\n"), (4, "after every 4 steps: 6 of 15 states\n")])
def test_inspect_says_how_many_states_have_digests(every: int, shown: str, tmp_path: Path) -> None:
    train(tiny.plain(), tmp_path, steps=14, choices=Choices(interval=6, witness_interval=every))
    assert shown in pol("inspect", tmp_path).output  # of 4 steps: 0, 4, 6, 8, 12 and 14
