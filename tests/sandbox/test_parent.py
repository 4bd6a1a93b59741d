"""The caller believes nothing that the child can't know."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import tiny

import pol_jax
from pol_jax.errors import PolError
from pol_jax.progress import Silent
from pol_jax.sandbox import messages
from pol_jax.sandbox.parent import Caller
from pol_jax.sandbox.process import Lost
from pol_jax.verifying import proof_verifier as verifier

NONCE = b"isolated"


def test_lies_of_the_child_are_refused(plain_proof: Path) -> None:
    """The caller believes no message of another form, no index beyond its records, no unknown error class."""
    request = messages.Request(str(plain_proof), pol_jax.AllSegments(), NONCE, {}, None, None)
    caller = Caller(request, tiny.plain().source, Silent())
    with pytest.raises(Lost):
        caller.hear(messages.Take([0]))
    caller.hear(messages.Find((plain_proof / "commitment.json").read_bytes()))
    for wrong in ([-1], [tiny.RECORDS], [2**62]):
        with pytest.raises(Lost):
            caller.hear(messages.Take(wrong))
    with pytest.raises(PolError):
        caller.hear(messages.Failed("SystemExit", "0"))
    with pytest.raises(Lost):
        caller.hear(messages.Done(b"{}"))
    with pytest.raises(msgspec.MsgspecError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"type": "other"}), type=messages.FromChild)
    assert caller.report is None


def test_report_of_another_verification_is_refused(plain_proof: Path) -> None:
    report = verifier.verify(plain_proof, tiny.plain().source, nonce=NONCE)
    request = messages.Request(str(plain_proof), report.policy, b"another", {}, None, None)
    with pytest.raises(Lost, match="another verification"):
        Caller(request, tiny.plain().source, Silent()).hear(messages.Done(report.to_json()))
