"""The caller believes nothing that the child can't know."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import tiny
import unsandboxed

import pol_jax
from pol_jax.errors import PolError
from pol_jax.progress import Silent
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox import messages
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.process import ProcessLost
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.verifying.request import ProofRequest

NONCE = b"a nonce of these tests"


def test_lies_of_the_child_are_refused(plain_proof: Path) -> None:
    """The caller believes no message of another form, no index beyond its records, no unknown error class."""
    request = ProofRequest(path=str(plain_proof), policy=pol_jax.AllSegments(), nonce=NONCE)
    caller = Caller(request, tiny.plain().source, Silent())
    with pytest.raises(ProcessLost):
        caller.answer(messages.ReadRecords([0]))
    caller.answer(messages.FindSource((plain_proof / "commitment.json").read_bytes()))
    for wrong in ([-1], [tiny.RECORDS], [2**62]):
        with pytest.raises(ProcessLost):
            caller.answer(messages.ReadRecords(wrong))
    with pytest.raises(PolError):
        caller.answer(ErrorRaised("SystemExit", "0"))
    with pytest.raises(ProcessLost):
        caller.answer(messages.Finished(b"{}"))
    with pytest.raises(msgspec.MsgspecError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"type": "other"}), type=messages.FromChild)
    assert caller.report is None


def test_report_of_another_verification_is_refused(plain_proof: Path) -> None:
    report = unsandboxed.verify(plain_proof, tiny.plain().source, policy=pol_jax.RandomSegments(), nonce=NONCE)
    request = ProofRequest(path=str(plain_proof), nonce=b"another nonce of them")
    with pytest.raises(ProcessLost, match="another verification"):
        Caller(request, tiny.plain().source, Silent()).answer(messages.Finished(report.to_json()))


def test_a_report_that_contradicts_itself_is_refused(plain_proof: Path) -> None:
    """Nothing is accepted that did not pass all nine stages, whoever says so."""
    request = ProofRequest(path=str(plain_proof), policy=pol_jax.AllSegments(), nonce=NONCE)
    true = unsandboxed.verify(plain_proof, tiny.plain().source, policy=request.policy, nonce=NONCE)

    def sent(asked: ProofRequest = request, **facts: object) -> Report | None:
        caller = Caller(asked, tiny.plain().source, Silent())
        caller.answer(messages.Finished(msgspec.structs.replace(true, **facts).to_json()))
        return caller.report

    assert sent() == true
    for stage in Stage:
        for outcome in set(Outcome) - {Outcome.PASSED}:
            with pytest.raises(ProcessLost, match="contradicts itself"):
                sent(stages=true.with_stage(stage, outcome).stages)
            rejected = sent(stages=true.with_stage(stage, outcome).stages, verdict=Verdict.REJECTED, mode=None)
            assert rejected is not None
    for stages in ((), true.stages[:-1], true.stages[::-1], (*true.stages, true.stages[-1])):
        with pytest.raises(ProcessLost, match="contradicts itself"):
            sent(stages=stages)
    for facts in ({"mode": None}, {"verdict": Verdict.INCONCLUSIVE}):
        with pytest.raises(ProcessLost, match="contradicts itself"):
            sent(**facts)
    with pytest.raises(ProcessLost, match="another verification"):
        sent(msgspec.structs.replace(request, leaves=("/w",)))
