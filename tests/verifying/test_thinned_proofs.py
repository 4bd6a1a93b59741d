"""Proofs that keep few of their checkpoints: smaller, and verified as exactly as any."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from forge import Forger, claim_of, refused, take_stock

from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.policies import AllSegments, ListedSegments, Policy, RandomSegments
from pol_jax.protocol.spans import routes
from pol_jax.proving.choices import Choices
from pol_jax.proving.recording import Recording
from pol_jax.proving.train import train
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.report import Report
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.proof import Proof, open_proof

Verify = Callable[..., Report]


STEPS, CHOICES = 22, Choices(interval=3, seed="thinned")


SELF_TEST = 3
PROBE = 3
"""Executions of one step that show how much its update depends on its batch and state."""
"""Steps: the first segment is shorter than ten."""


ODD = b"\x07" * 32


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All checkpoints: 0, 3, ..., 21, 22."""
    path = tmp_path_factory.mktemp("full") / "proof"
    train(tiny.plain(), path, steps=STEPS, choices=CHOICES)
    return path


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with one checkpoint of three: 0, 9, 18, 22."""
    path = tmp_path_factory.mktemp("thinned") / "proof"
    train(tiny.plain(), path, steps=STEPS, keep_every=3, choices=CHOICES)
    return path


@pytest.fixture
def forger(thinned: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(thinned, tmp_path / "proof")))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each call of a step program."""
    calls, load = list[int](), Proof.program

    def counting(proof: Proof) -> Any:
        program = load(proof)

        def step(*args: Any) -> Any:
            calls.append(1)
            return program.step(*args)

        return dataclasses.replace(program, step=step)

    monkeypatch.setattr(Proof, "program", counting)
    return calls


def coverage_of(report: Report) -> Coverage:
    assert report.coverage is not None
    return report.coverage


def size_of(root: Path) -> int:
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file())


# --- what is kept ------------------------------------------------------------------------------------------------


def test_thinned_proof_is_smaller_and_of_the_same_claim(full: Path, thinned: Path) -> None:
    assert open_proof(full).checkpoints() == [*range(0, STEPS, 3), STEPS]
    assert open_proof(thinned).checkpoints() == [0, 9, 18, STEPS]
    assert claim_of(full) == claim_of(thinned)
    assert list(open_proof(full).rows()) == list(open_proof(thinned).rows())
    assert size_of(thinned / "checkpoints") < 0.6 * size_of(full / "checkpoints")
    assert size_of(thinned) < size_of(full)


def test_more_than_there_are_leaves_the_first_and_the_last(tmp_path: Path, verify_plain: Verify) -> None:
    train(tiny.plain(), tmp_path / "proof", steps=7, keep_every=100, choices=CHOICES)
    assert open_proof(tmp_path / "proof").checkpoints() == [0, 7]
    assert verify_plain(tmp_path / "proof")


def test_finished_proof_is_not_thinned(full: Path) -> None:
    with Recording(tiny.plain(), full, keep_every=3, choices=CHOICES) as recording:
        assert recording.finished
    assert len(open_proof(full).checkpoints()) == 9


@pytest.mark.parametrize("keep_every", [0, -1, 2**32])
def test_keeping_out_of_bounds_is_refused(tmp_path: Path, keep_every: int) -> None:
    with pytest.raises(UsageError, match=f"keep_every {keep_every}: expected an integer from 1 to"):
        train(tiny.plain(), tmp_path / "proof", steps=7, keep_every=keep_every, choices=CHOICES)


# --- it verifies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "steps"),
    [
        (AllSegments(), 22),
        (ListedSegments((4,)), 6),  # 13 to 15, from 9
        (ListedSegments((3, 5)), 9),  # 10 to 12 and 16 to 18, from 9 in one go
        (ListedSegments((0, 3, 7)), 3 + 3 + 4),  # 22, from 18
        (ListedSegments((1, 2, 4, 6)), 9 + 6 + 3),
    ],
)
def test_every_step_is_executed_once(
    thinned: Path, verify_plain: Verify, executed: list[int], policy: Policy, steps: int
) -> None:
    report = verify_plain(thinned, policy=policy)
    assert report, report.reasons
    shared = isinstance(policy, AllSegments) or policy == ListedSegments(
        (1, 2, 4, 6)
    )  # a replay from 0 goes on with it
    assert len(executed) == (0 if shared else SELF_TEST) + steps + PROBE
    drawn = policy.segments if isinstance(policy, ListedSegments) else tuple(range(8))
    assert (coverage_of(report).replayed, coverage_of(report).steps_replayed) == (drawn, steps)
    assert f"{len(drawn)} of 8 segments, {steps} steps to replay" in report.stages[7].detail
    assert report.stages[5].detail == "4 checkpoints"


def test_detection_is_that_of_the_drawn_segments(full: Path, thinned: Path, verify_plain: Verify) -> None:
    """What is replayed on the way to them was not drawn: a thinned proof promises what a full one does."""
    policy = RandomSegments(confidence=0.6, fraction=0.3)
    proof = open_proof(thinned)
    claim = claim_of(thinned).digest()

    def on_the_way(nonce: bytes) -> bool:
        """A draw is of the claim, which depends on the version of jax: take one with segments on the way."""
        drawn = draw(policy, len(proof.segments), claim, nonce)
        found = routes(map(proof.segments.span, drawn), proof.checkpoints())
        return sum(len(route.span.steps) for route in found) > 3 * len(drawn)

    nonce = next(nonce for nonce in (bytes([at]) * 16 for at in range(256)) if on_the_way(nonce))
    reports = [verify_plain(path, policy=policy, nonce=nonce) for path in (full, thinned)]
    assert all(reports)
    whole, thin = map(coverage_of, reports)
    assert whole.replayed == thin.replayed
    assert 0 < whole.detection == thin.detection < 1
    assert len(thin.replayed) * 3 < thin.steps_replayed
    assert coverage_of(verify_plain(thinned, policy=ListedSegments((5,)))).detection == 0


# --- and what is false is met ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "column"), [({"loss": b"\0\0\0\0"}, "loss"), ({"state": ODD}, "state_digest")])
@pytest.mark.parametrize("segment", [4, 5])
def test_false_row_without_a_checkpoint_before_it(
    forger: Forger, verify_plain: Verify, segment: int, fields: dict[str, bytes], column: str
) -> None:
    """In the challenged segment or on the way to it: the replay from step 9 meets row 14."""
    forger.change(14, **fields)
    forger.write()
    stop = 3 * segment + 3
    report = verify_plain(forger.root, policy=ListedSegments((segment,)))
    refused(report, 9, f"replay: steps 10 to {stop}: the replay of step 14 differs from the ledger ({column})")
    assert len(report.reasons) == 1
    assert coverage_of(report).steps_replayed == 5
    assert coverage_of(report).replayed == ((4,) if segment == 4 else ())


@pytest.mark.parametrize("segment", [3, 6])
def test_false_row_that_is_not_on_the_way(forger: Forger, verify_plain: Verify, segment: int) -> None:
    forger.change(14, state=ODD)
    forger.write()
    assert verify_plain(forger.root, policy=ListedSegments((segment,)))


def test_replay_ends_at_the_first_false_row(forger: Forger, verify_plain: Verify) -> None:
    """Segments before it came out; those behind it are not covered, and its replay is one reason."""
    forger.change(14, state=ODD)
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 9, "steps 10 to 18: the replay of step 14 differs from the ledger (state_digest)")
    assert len(report.reasons) == 1
    assert report.stages[8].detail == "6 of 8 segments bit for bit"
    assert (coverage_of(report).replayed, coverage_of(report).steps_replayed) == ((0, 1, 2, 3, 4, 6, 7), 9 + 5 + 4)


def test_false_state_that_training_went_on_from(forger: Forger, verify_plain: Verify) -> None:
    """All is true from step 18 on, but for where it begins."""
    forger.train_on(tiny.plain().source, 18, STEPS, forger.perturbed(18))
    forger.write()
    refused(verify_plain(forger.root, policy=ListedSegments((5,))), 9, "steps 10 to 18: the replay of step 18")
    assert verify_plain(forger.root, policy=ListedSegments((6, 7)))


# --- which checkpoints must be there -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, STEPS])
def test_first_and_last_checkpoint_are_required(forger: Forger, verify_plain: Verify, step: int) -> None:
    shutil.rmtree(forger.root / checkpoint_name(step))
    refused(verify_plain(forger.root), 2, checkpoint_name(step), "is missing; the inventory lists it")
    take_stock(forger.root)
    refused(verify_plain(forger.root), 6, checkpoint_name(step), "is missing")


def test_a_checkpoint_between_is_not(full: Path, forger: Forger, verify_plain: Verify) -> None:
    """Thinned further, and thickened again: the claim covers meanings, not files."""
    shutil.rmtree(forger.root / checkpoint_name(9))
    take_stock(forger.root)
    assert coverage_of(verify_plain(forger.root, policy=ListedSegments((5,)))).steps_replayed == 18
    shutil.copytree(full / checkpoint_name(15), forger.root / checkpoint_name(15))
    refused(verify_plain(forger.root), 2, checkpoint_name(15), "is not in the inventory")
    take_stock(forger.root)
    assert coverage_of(verify_plain(forger.root, policy=ListedSegments((5,)))).steps_replayed == 3


def test_every_checkpoint_that_is_there_is_checked(forger: Forger, verify_plain: Verify) -> None:
    forger.states[9] = forger.perturbed(9)
    forger.write()
    refused(verify_plain(forger.root, policy=ListedSegments((7,))), 6, checkpoint_name(9), "not the one in row 9")
