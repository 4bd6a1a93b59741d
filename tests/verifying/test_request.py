"""A request is validated where it is built, and asks the same of earlier proofs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pol_jax
from pol_jax.errors import UsageError
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import (
    AllSegments,
    JointSegments,
    ListedSegments,
    ListedSteps,
    RandomSegments,
    RandomSteps,
    TopSegments,
)
from pol_jax.sandbox.memory import MemoryLimits
from pol_jax.sandbox.messages import Setup
from pol_jax.verifying.request import OpeningRequest, ProofRequest

NONCE = b"a nonce of tests"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"jobs": 0}, "jobs: 0, expected at least 1"),
        ({"d_ref": 0.0}, "d_ref: 0, expected a positive distance"),
        ({"d_ref": -1.0}, "d_ref: -1, expected a positive distance"),
        ({"d_ref": math.nan}, "d_ref: nan, expected a positive distance"),
        ({"policy": ListedSegments(())}, "would check nothing"),
    ],
)
def test_what_can_not_be_answered_is_refused(asked: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=problem):
        ProofRequest(path="proof", **asked)
    with pytest.raises(UsageError, match=problem):  # at the public door too, before a process is started
        pol_jax.verify(tmp_path, **asked)


def test_an_earlier_proof_is_asked_the_same() -> None:
    limits = Limits(steps=7)
    request = ProofRequest(path="proof", policy=TopSegments(2), nonce=b"n", limits=limits, secret=b"s", jobs=3)
    asked: dict[str, Any] = {"limits": limits, "secret": b"s", "jobs": 3, "nonce": b"n"}
    assert request.of_ancestor(Path("base")) == ProofRequest(path="base", policy=TopSegments(2), **asked)


def test_a_list_of_segments_and_d_ref_are_about_one_proof() -> None:
    request = ProofRequest(path="proof", policy=ListedSegments((1,)), d_ref=2.0, nonce=NONCE)
    assert request.of_ancestor(Path("base")) == ProofRequest(path="base", policy=RandomSegments(), nonce=NONCE)


@pytest.mark.parametrize("length", [0, 8, 15, 65])
def test_a_nonce_that_a_prover_could_try_out_is_refused_where_anything_is_drawn(length: int) -> None:
    opening: dict[str, Any] = {"claim": "claim.json", "opening": "opening", "nonce": bytes(length)}
    for policy in (RandomSegments(), JointSegments(1), ListedSegments((1,))):
        with pytest.raises(UsageError, match=f"got {length} bytes, expected 16 to 64"):
            ProofRequest(path="proof", policy=policy, nonce=bytes(length))
    with pytest.raises(UsageError, match=f"got {length} bytes, expected 16 to 64"):
        OpeningRequest(policy=RandomSteps(), **opening)
    assert OpeningRequest(policy=ListedSteps((1,)), **opening).nonce == bytes(length)
    assert ProofRequest(path="proof", policy=AllSegments(), nonce=bytes(length)).nonce == bytes(length)


def test_each_request_has_a_nonce_of_its_own() -> None:
    assert ProofRequest(path="proof").nonce != ProofRequest(path="proof").nonce


@pytest.mark.parametrize(
    "request_",
    [
        ProofRequest(path="proof", policy=TopSegments(2, "linf"), nonce=b"n", secret=b"s", parents=("base",)),
        OpeningRequest(claim="claim.json", opening="opening", policy=ListedSteps((1, 4)), nonce=b""),
    ],
)
def test_a_request_is_the_same_on_the_other_side_of_a_pipe(request_: ProofRequest | OpeningRequest) -> None:
    setup = Setup(request_, False, MemoryLimits(2**30, None))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(setup), type=Setup) == setup
