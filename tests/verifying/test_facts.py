"""Facts of shards: each shard once, all about one verification, and what they found in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny
from example_reports import compared, unfinished

from pol_jax.errors import UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import AllSegments, TopSegments
from pol_jax.protocol.spans import Span
from pol_jax.verifying.checks import check_files_to_states
from pol_jax.verifying.facts import FORMAT, Facts, FactsReplayer, Share, merge_facts, parse_facts

ENVIRONMENT = unfinished().environment


def facts(number: int, shards: int = 2, **changes: Any) -> Facts:
    """Facts of a shard, which found something about a span of its own."""
    span = Span(6 * number - 6, 6 * number)
    found: dict[str, Any] = {
        "initial_exact": True if number == 1 else None,
        "replays": (ReplayResult(span), ReplayResult(span, span.stop, ("loss",), b"row")),
        "states": (ReplayResult(span),),
        "compared": (compared(span.stop, 1e-6),),
    }
    known: dict[str, Any] = {"claim": "1" * 64, "policy": AllSegments(), "nonce": "ab", "environment": ENVIRONMENT}
    return Facts(format=FORMAT, shares=(Share(number, shards),), **(known | found | changes))


def test_facts_survive_their_document() -> None:
    assert parse_facts(facts(1).to_json(), "it") == facts(1)
    assert b'"of": 2' in facts(1).to_json()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[" * 10_000, b"\xff", facts(1).to_json().replace(b"facts 1", b"facts 2")]
)
def test_what_are_no_facts_is_refused(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"^it: has no facts of a shard"):
        parse_facts(content, "it")


def test_what_all_shards_found_is_told_in_the_order_of_the_shards() -> None:
    whole = merge_facts([facts(2), facts(1)])
    assert whole.shares == (Share(2, 2), Share(1, 2))
    assert whole.initial_exact is True
    for name in ("replays", "states", "compared"):
        assert getattr(whole, name) == getattr(facts(2), name) + getattr(facts(1), name)
    assert merge_facts([facts(1, 1, initial_exact=None)]).initial_exact is None
    assert merge_facts([facts(1, initial_exact=False), facts(2)]).initial_exact is False


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        ([facts(1)], "expected each shard of 2 once, got 1/2"),
        ([facts(1), facts(1)], "expected each shard of 2 once, got 1/2, 1/2"),
        ([facts(1), facts(2, 3)], "expected each shard of 2 once, got 1/2, 2/3"),
        ([facts(1), facts(2, claim="2" * 64)], "shards 2/2 and 1/2 have different values of claim"),
        ([facts(1), facts(2, policy=TopSegments(1))], "different values of policy"),
        ([facts(1), facts(2, nonce="cd")], "different values of nonce"),
        (
            [facts(1), facts(2, environment=msgspec.structs.replace(ENVIRONMENT, jaxlib="0.0.1"))],
            "shards 1/2 and 2/2 have other backends",
        ),
        (
            [facts(1), facts(2, environment=msgspec.structs.replace(ENVIRONMENT, device_count=2))],
            "device_count: 1 against 2",
        ),
    ],
)
def test_facts_that_do_not_belong_together_are_refused(shards: list[Facts], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        merge_facts(shards)


def test_a_shard_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="shard 3/2"):
        Share(3, 2)
    with pytest.raises(UsageError, match="none are given"):
        merge_facts([])


def replayer(proof: Path, **changes: Any) -> FactsReplayer:
    """It tells facts about a proof; what it would have to execute is an error."""
    checked = check_files_to_states(proof, Limits())
    known = {"claim": checked.proof.claim.digest().hex(), "environment": current_environment()}
    return FactsReplayer(checked, tiny.plain().source, None, Silent(), facts=facts(1, 1, **(known | changes)))


def test_what_was_found_is_told_in_the_order_in_which_it_was_found(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time that a span is asked for, that is its second replay; what nobody has found is executed."""
    span, unknown = Span(0, 6), Span(6, 12)
    monkeypatch.setattr(FactsReplayer, "_run", lambda *_, **__: pytest.fail("executed"))
    told = replayer(plain_proof)
    assert told.initial_is_exact() is True
    assert told.self_test(span) == ReplayResult(span)
    assert list(told.replay([span])) == [ReplayResult(span, 6, ("loss",), b"row")]
    assert told.replay_states(span) == ReplayResult(span)
    for ask in (lambda: list(told.replay([span])), lambda: told.replay_states(unknown)):
        with pytest.raises(pytest.fail.Exception, match="executed"):
            ask()


def test_facts_of_another_proof_or_backend_are_refused(plain_proof: Path) -> None:
    with pytest.raises(UsageError, match="are about the claim 1111111111111111"):
        replayer(plain_proof, claim="1" * 64)
    elsewhere = msgspec.structs.replace(current_environment(), jaxlib="0.0.1")
    with pytest.raises(UsageError, match="the shards have another backend than this machine"):
        replayer(plain_proof, environment=elsewhere)
