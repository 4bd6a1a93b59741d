"""A worker tells of its steps now and then, and of all of them in the end."""

from __future__ import annotations

from multiprocessing import Pipe as pair
from pathlib import Path

import msgspec
import pytest
from forge import claim_of

from pol_jax.errors import ProofError
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox import pool_worker
from pol_jax.sandbox.messages import WorkAdvanced
from pol_jax.sandbox.pipe import Pipe
from pol_jax.sandbox.pool_worker import StepsSince


def test_steps_are_told_of_in_few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.0, 10.01, 10.02, 10.5, 10.5, 10.55, 11.0, 11.0])
    monkeypatch.setattr(pool_worker, "monotonic", lambda: next(times))
    ours, theirs = pair()
    with ours, theirs:
        since = StepsSince(Pipe(theirs), seconds=0.1)
        for done, loss in enumerate((4.0, 3.0, 2.0, 1.0), 1):
            since.at(done, loss)
        since.at(5, 0.5)
        since.flush()
        since.flush()
        told = list[WorkAdvanced]()
        while ours.poll():
            told.append(msgspec.msgpack.decode(ours.recv_bytes(), type=WorkAdvanced))
    assert told == [WorkAdvanced(1, 4.0), WorkAdvanced(3, 1.0), WorkAdvanced(1, 0.5)]


def test_a_worker_reads_the_claim_that_was_checked(plain_proof: Path) -> None:
    claim = claim_of(plain_proof)
    found = pool_worker._claim(plain_proof / "claim.json", claim.digest().hex(), Limits())
    assert found == claim
    with pytest.raises(ProofError, match="is another one than when it was checked"):
        pool_worker._claim(plain_proof / "claim.json", "0" * 64, Limits())
