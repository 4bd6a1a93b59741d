"""A shard finds its share of the facts, and judges nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from forge import Forger, claim_of

from pol_jax.errors import ProofError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.progress import Silent
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import AllSegments
from pol_jax.protocol.spans import Span
from pol_jax.verifying.facts import Facts, Share
from pol_jax.verifying.request import ProofRequest
from pol_jax.verifying.shard import find_facts


def found(root: Path, number: int, limits: Limits | None = None) -> Facts:
    """The facts of one of two shards."""
    request = ProofRequest(path=str(root), policy=AllSegments(), nonce=tiny.NONCE, limits=limits or Limits())
    return find_facts(request, Share(number, 2), lambda _: tiny.plain().source, progress=Silent())


def test_shards_take_turns_and_the_first_looks_at_the_beginning(plain_proof: Path) -> None:
    first, second = (found(plain_proof, number) for number in (1, 2))
    assert first.replays == tuple(ReplayResult(span) for span in (Span(0, 6), Span(0, 6), Span(12, 18)))
    assert second.replays == tuple(ReplayResult(span) for span in (Span(6, 12), Span(18, 24)))
    assert (first.initial_exact, second.initial_exact) == (True, None)
    assert first.claim == claim_of(plain_proof).digest().hex()
    assert (first.compared, first.states, second.compared) == ((), (), ())


def test_what_differs_is_replayed_a_second_time(forger: Forger) -> None:
    forger.change(9, state=bytes(32))
    forger.write()
    spans = [(result.span, result.mismatch) for result in found(forger.root, 2).replays]
    assert spans == [(Span(6, 12), 9), (Span(18, 24), None), (Span(6, 12), 9)]


def test_a_longer_run_than_the_limit_is_not_read(plain_proof: Path) -> None:
    with pytest.raises(ProofError, match=f"steps: {tiny.STEPS}, more than the limit of 3"):
        found(plain_proof, 2, Limits(steps=3))
