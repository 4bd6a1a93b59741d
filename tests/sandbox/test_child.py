"""The child takes the memory that it was given, stage by stage, and says what it was not kept from."""

from __future__ import annotations

from multiprocessing import Pipe
from pathlib import Path

import msgspec
import pytest
import tiny
from confined_child import NONCE

from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Verdict
from pol_jax.sandbox import child
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.memory import MemoryLimits
from pol_jax.sandbox.messages import StageBegun
from pol_jax.sandbox.verify import verify


def test_memory_for_execution_is_taken_when_something_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then nothing needs more than the documents explain."""
    taken = list[int | None]()
    monkeypatch.setattr(child, "limit_memory", taken.append)
    ours, theirs = Pipe()
    with ours, theirs:
        pipe = child._ChildPipe(theirs)
        pipe.memory = MemoryLimits(1, 2)
        pipe.stage(Stage.STATE_DIGESTS.value)
        assert taken == []
        pipe.stage(Stage.INITIAL_STATE.value)
        assert taken == [2]
        told = [msgspec.msgpack.decode(ours.recv_bytes(), type=StageBegun).number for _ in range(2)]
    assert told == [6, 7]


def test_report_tells_what_was_not_restricted(plain_proof: Path) -> None:
    report = verify(plain_proof, tiny.plain().source, nonce=NONCE, bounds=Bounds(confined=False))
    assert report.verdict is Verdict.ACCEPTED
    assert report.stages[0].detail.endswith(" bytes; file access and network not restricted")
