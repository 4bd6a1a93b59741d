"""Challenged states are computed again from checkpoints, and nothing is opened of what this machine can't repeat."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from forge import Forger
from opened_steps import SOURCE

from pol_jax.cli.main import main
from pol_jax.errors import BackendError
from pol_jax.progress import Silent
from pol_jax.protocol.spans import Span
from pol_jax.proving.opener import open_steps
from pol_jax.proving.regeneration import committed_state, regenerate
from pol_jax.storage.proof import open_proof
from pol_jax.training.states import Layout


def test_states_at_both_ends_of_each_span_are_those_of_the_ledger(plain_proof: Path) -> None:
    """The ends of the run are among them, whatever is asked for."""
    proof = open_proof(plain_proof).finished()
    found = regenerate(proof, SOURCE, [Span(7, 8)], None, Silent())
    assert sorted(found) == [0, 7, 8, 24]
    assert all(state.digest() == proof.row(step).state for step, state in found.items())


def test_a_checkpoint_that_is_not_the_ledger_s_opens_nothing(forger: Forger) -> None:
    forger.change(12, state=bytes(32))
    forger.write()
    proof = open_proof(forger.root).finished()
    with pytest.raises(BackendError, match="the checkpoint after step 12 is not the state in the ledger"):
        committed_state(proof, Layout(proof.commitment.state), 12)


def test_every_step_is_executed_once(plain_proof: Path) -> None:
    """From a thinned proof too: one way from each checkpoint, to the last step that is asked for."""
    reached: list[tuple[str, int]] = []

    class Seen:
        def begin(self, what: str, total: int, done: int = 0) -> None:
            reached.append((what, total))

        def at(self, done: int, loss: float | None = None) -> None:
            reached.append(("at", done))

        def end(self) -> None:
            reached.append(("end", 0))

        def stage(self, number: int) -> None: ...

    open_steps(open_proof(plain_proof), SOURCE, (2, 5, 8), progress=Seen(), decisions=False)
    assert reached == [("regenerating", 7), *(("at", done) for done in range(1, 8)), ("end", 0)]


def test_machine_that_comes_out_otherwise_opens_nothing(
    proof_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    forger = Forger(proof_copy)
    forger.change(8, loss=b"\0\0\0\0")
    forger.write()
    with pytest.raises(BackendError, match="step 8 differs from the ledger"):
        open_steps(open_proof(proof_copy), SOURCE, (9,))
    options = ["--steps", "9", "--out", str(tmp_path / "o"), "--task", "tiny:plain"]
    monkeypatch.setattr("sys.argv", ["pol", "open", str(proof_copy), *options])
    monkeypatch.setattr("sys.unraisablehook", sys.unraisablehook)  # `main` has one of its own
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "o").exists()
