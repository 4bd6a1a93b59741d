"""Attacks on where an opened run begins and ends: steps alone are true steps of a run that is another than it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
import unsandboxed
from forge import Forger, claim_of, refused
from msgspec.structs import replace
from opened_steps import SOURCE, STEPS, open_blindly

from pol_jax.cli.cures import cures
from pol_jax.errors import BackendError, ProofError
from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.challenge import challenged_steps, draw_steps
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import RandomSteps
from pol_jax.protocol.rows import RowLayout, decode_row
from pol_jax.protocol.spans import Span
from pol_jax.proving import opener, regeneration
from pol_jax.proving.opener import open_steps
from pol_jax.proving.regeneration import regenerate
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import open_proof

CHECK = Callable[..., Report]
T = 24
LAYOUT = RowLayout(("loss", "norm"))


def without(opening: Opening, *, rows: tuple[int, ...] = (), states: tuple[int, ...] = ()) -> Opening:
    """The opening without these rows and states, as a prover may send it."""
    kept = [(each, decode_row(each.row, LAYOUT)) for each in opening.rows]
    return replace(
        opening,
        rows=tuple(each for each, row in kept if row is not None and row.step not in rows),
        states=tuple(each for each in opening.states if each.step not in states),
    )


def left_open(report: Report, *words: str) -> None:
    """Nothing is refused, nothing is accepted, and the challenge's reason has these words."""
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert report.stages[7].outcome is Outcome.INCONCLUSIVE
    assert all(word in report.reasons[0] for word in words), report.reasons
    assert any("pol open" in cure for cure in cures(report))


@dataclass(frozen=True)
class Run:
    """A forged run that is consistent with its claim."""

    root: Path

    @property
    def unmet(self) -> tuple[bytes, RandomSteps]:
        """A nonce that draws neither the first step nor the last one."""
        policy, claim = RandomSteps(0.5, 0.25), claim_of(self.root).digest()
        nonces = (bytes([number]) * 16 for number in count())
        return next(nonce for nonce in nonces if not {1, T} & set(draw_steps(policy, T, claim, nonce))), policy


@pytest.fixture
def pretrained(proof_copy: Path) -> Run:
    """A run of true steps whose "initial state" has the weights of a trained one."""
    forger = Forger(proof_copy)
    first, last = forger.states[0], forger.states[T]
    leaves = zip(forger.commitment.state, first, last, strict=True)
    forger.train_on(SOURCE, 0, T, [trained if leaf.path.startswith("/params") else a for leaf, a, trained in leaves])
    forger.write()
    return Run(proof_copy)


@pytest.fixture
def other_model(proof_copy: Path) -> Run:
    """An honest run whose claim names another final model, which no row has."""
    Forger(proof_copy).write(final_state="7" * 64)
    return Run(proof_copy)


def test_trained_weights_are_met_without_the_first_step(pretrained: Run, check_opening: CHECK) -> None:
    opening = open_blindly(pretrained.root, (7, 12))
    refused(check_opening(opening, (7, 12), pretrained.root), 7, "the init program gives another initial state")
    left_open(
        check_opening(without(opening, states=(0,)), (7, 12), pretrained.root),
        "leaves out the initial state",
        "ask for one with rows and states of steps 0 and 24",
    )


@pytest.mark.parametrize("run", ["pretrained", "other_model"])
def test_a_random_challenge_asks_for_both_ends(run: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The draw meets neither end; the challenge asks for both, so an answer to the draw alone is none."""
    forged: Run = request.getfixturevalue(run)
    (nonce, policy), claim = forged.unmet, claim_of(forged.root)
    for steps, verdict in (
        (draw_steps(policy, T, claim.digest(), nonce), Verdict.INCONCLUSIVE),
        (challenged_steps(policy, T, claim.digest(), nonce), Verdict.REJECTED),
    ):
        opening = open_blindly(forged.root, steps)
        if verdict is Verdict.INCONCLUSIVE:
            opening = without(opening, rows=(0, T), states=(0, T))
        write_opening(tmp_path / "opening", opening)
        report = unsandboxed.verify_opening(forged.root, tmp_path / "opening", policy, nonce)
        assert report.verdict is verdict, report.reasons
        if verdict is Verdict.INCONCLUSIVE:
            assert "leaves out step 1, which was challenged" in report.reasons[0]


def test_another_final_model_is_met_without_the_last_step(other_model: Run, check_opening: CHECK) -> None:
    opening = open_blindly(other_model.root, (1, 7))
    refused(check_opening(opening, (1, 7), other_model.root), 4, "final_state", "row 24")
    without_end = without(opening, rows=(T,), states=(T,))
    left_open(check_opening(without_end, (1, 7), other_model.root), "leaves out row 24", "the claim's final_state")


def test_the_last_row_is_enough_where_bits_decide(opening: Opening, check_opening: CHECK) -> None:
    assert check_opening(without(opening, states=(T,)), (1, 8))
    left_open(check_opening(without(opening, rows=(T,), states=(T,)), (1, 8)), "row 24")
    left_open(check_opening(without(opening, states=(0,)), (8,)), "the initial state")
    left_open(check_opening(without(opening, rows=(0, T), states=(0, T)), (8,)), "the initial state", "row 24")


def test_a_false_step_is_refused_although_the_ends_are_left_out(
    proof_copy: Path, check_opening: CHECK, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = _nudged(proof_copy, monkeypatch, np.float32(1e-3))
    report = check_opening(without(opening, rows=(0, T), states=(0, T)), (2, 12), proof_copy)
    assert report.verdict is Verdict.REJECTED
    assert report.stages[8].outcome is Outcome.FAILED


def test_nothing_passes_within_a_tolerance_where_the_distance_is_not_known(
    proof_copy: Path, check_opening: CHECK, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One unit in the last place passes; what that adds up to is held against a distance that takes both ends."""
    opening = _nudged(proof_copy, monkeypatch, None)
    environment = current_environment()
    elsewhere = replace(environment, jaxlib="0.0.1")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: elsewhere)
    report = check_opening(opening, (2, 12), proof_copy)
    assert report.drift is not None
    assert report.drift.distance is not None
    report = check_opening(without(opening, states=(T,)), (2, 12), proof_copy)
    assert [(each.stop, each.outcome) for each in report.compared if not each.equal] == [(12, Outcome.PASSED)]
    left_open(report, "the state after step 24", "tolerances")


def _nudged(root: Path, monkeypatch: pytest.MonkeyPatch, push: np.float32 | None) -> Opening:
    """An opening of steps 2 and 12, whose state 12 is off in one weight: by ``push``, or one unit in the last place."""
    forger = Forger(root)
    honest = regenerate(open_proof(root).finished(), SOURCE, [Span(1, 2), Span(11, 12)], None, Silent())
    leaves = [leaf.copy() for leaf in forger.states[12]]
    weights = next(leaf for leaf in leaves if leaf.dtype == np.float32 and leaf.size == 48).reshape(-1)
    weights[0] += np.spacing(weights[0]) if push is None else push
    forger.set_state(12, leaves)
    forger.write()
    monkeypatch.setattr(opener, "regenerate", lambda *_: honest | {12: forger.layout.gather(leaves)})
    return open_steps(open_proof(root), SOURCE, (2, 12))


# --- a prover's own tool opens nothing that it sees to be false ---------------------------------------------------


def test_trained_weights_are_not_opened(pretrained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProofError, match="not the state that the init program gives"):
        open_steps(open_proof(pretrained.root), SOURCE, (7,))
    environment = current_environment()
    monkeypatch.setattr(regeneration, "current_environment", lambda: replace(environment, jaxlib="0.0.1"))
    with pytest.raises(BackendError, match="can't regenerate the initial state: it is not the prover's"):
        open_steps(open_proof(pretrained.root), SOURCE, (7,))


@pytest.mark.parametrize("field", ["final_state", "ledger_root", "commitment"])
def test_a_false_claim_is_not_opened(field: str, proof_copy: Path) -> None:
    claim = proof_copy / "claim.json"
    plain = msgspec.json.decode(claim.read_bytes()) | {field: "7" * 64}
    claim.write_bytes(msgspec.json.encode(plain, order="sorted"))
    with pytest.raises(ProofError, match=f"claim.json: {field}"):
        open_steps(open_proof(proof_copy), SOURCE, (7,))


def test_whatever_is_asked_for_both_ends_are_opened(plain_proof: Path) -> None:
    opening = open_steps(open_proof(plain_proof), SOURCE, (9,))
    assert [state.step for state in opening.states] == [0, 8, 9, T]
    rows = [decode_row(each.row, LAYOUT) for each in opening.rows]
    assert [row.step for row in rows if row is not None] == [0, 8, 9, T]
    assert STEPS[-1] == T
