"""A pipe carries messages, questions with their answers, and progress."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pipe as pair
from multiprocessing.connection import Connection

import msgspec
import pytest

from pol_jax.errors import PeerLostError
from pol_jax.sandbox.messages import (
    FindSource,
    FromChild,
    ReadRecords,
    Records,
    SourceFound,
    StageBegun,
    WorkAdvanced,
    WorkBegun,
    WorkEnded,
    decode_from_child,
)
from pol_jax.sandbox.pipe import Pipe


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, Connection]]:
    """The child's end, and the caller's."""
    ours, theirs = pair()
    with ours, theirs:
        yield Pipe(theirs), ours


def told(caller: Connection) -> FromChild:
    """The next message of the child, which doesn't wait for ever."""
    assert caller.poll(10)
    return decode_from_child(caller.recv_bytes())


def test_progress_is_told_in_messages(ends: tuple[Pipe, Connection]) -> None:
    pipe, caller = ends
    pipe.stage(3)
    pipe.begin("replaying", 24, 6)
    pipe.at(7, 0.5)
    pipe.at(8)
    pipe.end()
    expected: list[FromChild] = [StageBegun(3), WorkBegun("replaying", 24, 6)]
    expected += [WorkAdvanced(7, 0.5), WorkAdvanced(8, None), WorkEnded()]
    assert [told(caller) for _ in expected] == expected


def test_a_question_has_its_answer(ends: tuple[Pipe, Connection]) -> None:
    pipe, caller = ends
    caller.send_bytes(msgspec.msgpack.encode(Records([b"x"], None)))
    assert pipe.ask(ReadRecords([7]), Records) == Records([b"x"], None)
    assert told(caller) == ReadRecords([7])


def test_another_answer_is_none(ends: tuple[Pipe, Connection]) -> None:
    pipe, caller = ends
    caller.send_bytes(msgspec.msgpack.encode(SourceFound(3)))
    with pytest.raises(msgspec.ValidationError):
        pipe.ask(ReadRecords([7]), Records)


def test_a_caller_who_is_gone_is_an_error_of_its_own(ends: tuple[Pipe, Connection]) -> None:
    pipe, caller = ends
    caller.close()
    with pytest.raises(PeerLostError):
        pipe.ask(FindSource(b""), SourceFound)
    with pytest.raises(EOFError):
        pipe.receive(SourceFound)
