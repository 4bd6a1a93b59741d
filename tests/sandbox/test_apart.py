"""A child that dies, falls silent or takes too long: the verdict is open, and nothing is left behind."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import tiny
from at_moments import At

from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify

Kill = Callable[[int], Callable[[], None]]


@pytest.fixture
def kill_child(children: list[psutil.Process]) -> Kill:
    """What sends a signal to the child that was started last."""
    return lambda number: lambda: children[-1].send_signal(number)


def ended(children: list[psutil.Process]) -> bool:
    """Whether there were any, and none of them is left."""
    return bool(children) and not any(child.is_running() for child in children)


@pytest.mark.parametrize(("stage", "number"), [(3, signal.SIGSEGV), (6, signal.SIGKILL), (9, signal.SIGABRT)])
def test_death_of_the_child_is_inconclusive(
    plain_proof: Path, kill_child: Kill, stage: int, number: signal.Signals
) -> None:
    """A crash of a parser, a kill for memory, an abort of XLA."""
    report = verify(plain_proof, tiny.plain().source, progress=At(stage, kill_child(number)))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"the process that reads the proof died of {number.name}" in report.reasons[0]
    outcomes = [each.outcome for each in report.stages]
    died = next(at for at, outcome in enumerate(outcomes) if outcome is Outcome.INCONCLUSIVE)
    assert died + 1 >= stage  # it may have gone on for a moment
    # The initial state is judged by the replay: not before the end of stage 9.
    passed = [outcome for at, outcome in enumerate(outcomes[:died], 1) if at != Stage.INITIAL_STATE.value]
    assert set(passed) <= {Outcome.PASSED}
    assert outcomes[Stage.INITIAL_STATE.value - 1] in (Outcome.NOT_REACHED, Outcome.INCONCLUSIVE)
    assert set(outcomes[died + 1 :]) <= {Outcome.NOT_REACHED}


def test_silence_is_inconclusive(plain_proof: Path, kill_child: Kill, children: list[psutil.Process]) -> None:
    progress = At(4, kill_child(signal.SIGSTOP))
    report = verify(plain_proof, tiny.plain().source, progress=progress, bounds=Bounds(silence_seconds=3))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "said nothing for 3 s" in report.reasons[0]
    assert ended(children)


@pytest.mark.started
def test_time_in_all_is_bounded(plain_proof: Path, children: list[psutil.Process]) -> None:
    """Also for a child that keeps talking. No interpreter has started and replayed a proof within this time."""
    report = verify(plain_proof, tiny.plain().source, bounds=Bounds(total_seconds=0.5))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "took more than the 0.5 s that it has in all" in report.reasons[0]
    assert ended(children)


def test_time_in_all_ends_before_silence(plain_proof: Path, kill_child: Kill) -> None:
    progress = At(4, kill_child(signal.SIGSTOP))
    bounds = Bounds(silence_seconds=300, total_seconds=12)
    report = verify(plain_proof, tiny.plain().source, progress=progress, bounds=bounds)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "took more than the 12 s" in report.reasons[0]
    assert verify(plain_proof, tiny.plain().source, bounds=Bounds(total_seconds=300))
