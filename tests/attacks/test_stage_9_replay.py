"""Attacks that stage 9 refuses: states, losses and digests that a replay does not give.

Each is consistent with all checks that come before.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
from forge import Forger, refused, undecided

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.policies import ListedSegments
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.verifying import row_comparison

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.mark.interpreter
@pytest.mark.parametrize("segment", [0, 1, 3])
def test_forged_end_of_a_segment(forger: Forger, verify_plain: Verify, segment: int) -> None:
    """The state at the end of one segment is another; what follows was truly trained from it."""
    stop = 6 * segment + 6
    forger.train_on(tiny.plain().source, stop, 24, forger.perturbed(stop))
    forger.write()
    refused(
        verify_plain(forger.root),
        9,
        f"steps {stop - 5} to {stop}: the replay of step {stop} differs from the ledger",
        "state_digest",
    )


def test_forged_digest_between_checkpoints(forger: Forger, verify_plain: Verify) -> None:
    forger.change(9, state=ODD)
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 7 to 12: the replay of step 9 differs from the ledger (state_digest)")


def test_a_forged_loss_is_refused(forger: Forger, verify_plain: Verify) -> None:
    forger.change(20, loss=b"\0\0\0\0")
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 19 to 24: the replay of step 20 differs from the ledger (loss)")


def test_forged_first_steps_only(forger: Forger, verify_plain: Verify) -> None:
    """The self-test can't be abused to call every difference the backend's: other segments reproduce here."""
    forger.change(3, state=ODD)
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 9, "self-test of steps 1 to 6: the replay of step 3 differs from the ledger")
    report = verify_plain(forger.root, policy=ListedSegments((2,)))
    refused(report, 9, "self-test of steps 1 to 6: the replay of step 3 differs from the ledger")


def interpolated(forger: Forger, first: int) -> None:
    """States on a line between the state after ``first`` and the last one, with a digest for every step."""
    start, end = forger.states[first], forger.states[24]
    for step in range(first + 1, 24):
        share = (step - first) / (24 - first)
        line = [
            (1 - share) * a.astype(np.float32) + share * b.astype(np.float32) for a, b in zip(start, end, strict=True)
        ]
        leaves = [np.asarray(new, old.dtype) for new, old in zip(line, end, strict=True)]
        if step in forger.states:
            forger.set_state(step, leaves)
        else:
            forger.change(step, state=forger.layout.gather(leaves).digest())


def test_interpolated_states_are_refused(forger: Forger, verify_plain: Verify) -> None:
    interpolated(forger, 6)
    forger.write()
    refused(verify_plain(forger.root), 9, "steps 7 to 12: the replay of step 7 differs from the ledger")


def test_everything_interpolated_is_rejected_by_tolerance(forger: Forger, verify_plain: Verify) -> None:
    interpolated(forger, 0)
    forger.write()
    report = verify_plain(forger.root)
    refused(report, 9, "steps 1 to 6 are not what this machine gives")
    assert any("neither the self-test nor any" in reason for reason in report.reasons)


@pytest.mark.interpreter
def test_everything_forged_is_rejected_by_tolerance(forger: Forger, verify_plain: Verify) -> None:
    for row in forger.rows[1:]:
        forger.change(row.step, state=ODD, loss=b"\0\0\0\0")
    for step in forger.states:
        forger.set_state(step, forger.perturbed(step))
    forger.write()
    report = verify_plain(forger.root)
    assert report.verdict is Verdict.REJECTED
    assert [stage.outcome for stage in report.stages[6:]] == [Outcome.FAILED, Outcome.PASSED, Outcome.FAILED]
    assert "the initial state is not what this machine gives" in report.reasons[0]
    assert any("neither the self-test nor any" in reason for reason in report.reasons)


def unsteady(count: Iterator[int]) -> type[Exception]:
    """A mismatch that has another result each time."""

    class Mismatch(row_comparison._Mismatch):
        def __init__(self, replayed: ReplayResult) -> None:
            super().__init__(dataclasses.replace(replayed, got=bytes([next(count)])))

    return Mismatch


def test_a_backend_that_does_not_repeat_itself(
    forger: Forger, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger.change(9, state=ODD)
    forger.write()
    count = itertools.count()
    monkeypatch.setattr("pol_jax.verifying.row_comparison._Mismatch", unsteady(count))
    undecided(verify_plain(forger.root), "gives other bits when it repeats a step")


@pytest.mark.parametrize("step", [5, 10, 11, 20])
def test_false_step_of_the_first_segment(long_segment: Path, tmp_path: Path, verify_plain: Verify, step: int) -> None:
    forger = Forger(Path(shutil.copytree(long_segment, tmp_path / "forged")))
    forger.change(step, loss=b"\0\0\x80?")
    forger.write()
    refused(verify_plain(forger.root), 9, f"the replay of step {step} differs from the ledger", "loss")
