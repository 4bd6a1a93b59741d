"""Who takes part is decided once, by names, records and keys; whoever answers with anything else is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("flwr", reason="the extra 'flower' is not installed")

from flwr.app import ConfigRecord, Message, RecordDict

from pol_jax.integrations.flower.registry import Member, Registry
from pol_jax.workers.assignment import Data

pytestmark = pytest.mark.filterwarnings("default")

DATA, OTHER = Data("0" * 64, 10), Data("1" * 64, 10)


def reply(name: Any, data: Data = DATA) -> Message:
    """What a worker registers."""
    asked = Message(RecordDict(), dst_node_id=3, message_type="query")
    fields = {"worker": name, "root": data.root, "records": data.records, "salted": data.salted}
    return Message(RecordDict({"registration": ConfigRecord(fields)}), reply_to=asked)


def registered(registry: Registry, replies: Mapping[int, Message]) -> list[int]:
    """Register these nodes; return which were asked."""
    asked = list[int]()

    def ask(kind: str, contents: Mapping[int, RecordDict]) -> dict[int, Message]:
        assert kind == "query.pol_jax_register"
        asked.extend(contents)
        return {node: replies[node] for node in reversed(list(contents))}

    registry.register(replies, ask)
    return asked


def test_nodes_are_asked_once_and_what_is_registered_stays() -> None:
    registry = Registry(None)
    assert not registry.is_enrolled
    assert registered(registry, {1: reply("a"), 2: reply("b", OTHER)}) == [1, 2]
    assert registered(registry, {1: reply("a", OTHER), 3: reply("c")}) == [3]
    assert registry.members == {1: Member("a", DATA), 2: Member("b", OTHER), 3: Member("c", DATA)}


def test_of_two_nodes_with_one_name_the_first_takes_part(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has answered first."""
    registry = Registry(None)
    registered(registry, {2: reply("a"), 1: reply("a", OTHER)})
    assert registry.members == {1: Member("a", OTHER)}
    assert "node 2 does not take part: registration: worker a is there already" in caplog.text


@pytest.mark.parametrize("name", ["", "x" * 65, "a\x1b[2J", 3])
def test_a_name_is_printable_and_short(name: Any, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(None)
    registered(registry, {1: reply(name)})
    assert registry.members == {}
    assert "is not printable, or too long" in caplog.text
    assert "\x1b" not in caplog.text


def test_enrolled_workers_have_their_records_and_keys(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry({"a": DATA, "b": DATA, "c": DATA}, {"a": "the key of a", "b": "the key of b"})
    assert registry.is_enrolled
    registered(registry, {1: reply("a"), 2: reply("b", OTHER), 3: reply("c"), 4: reply("d")})
    assert registry.members == {1: Member("a", DATA, "the key of a")}
    for words in ("worker b is not enrolled with these records", "worker c has no key", "worker d is not enrolled"):
        assert words in caplog.text
