"""What a worker says is an answer, a question or an error of few classes; and GPUs are shared by turns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from multiprocessing import Pipe as pair
from multiprocessing.connection import Connection
from types import SimpleNamespace

import jax
import msgspec
import pytest
from in_process import NoProcess

from pol_jax.errors import BackendError, DataError, PolError, ProofError, UsageError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.spans import Span
from pol_jax.sandbox.messages import ReadRecords, Records, ReplaySpan, SpanReplayed, WorkAdvanced
from pol_jax.sandbox.process import Process
from pol_jax.sandbox.reading_messages import ErrorRaised
from pol_jax.sandbox.worker_process import WorkerProcess, devices_of_workers
from pol_jax.storage.seen_digests import SeenDigests

SPAN = Span(6, 12)


@pytest.fixture
def pipe() -> Iterator[tuple[Process, Connection]]:
    """The side of who started a worker, and the worker's."""
    ours, theirs = pair()
    with ours, theirs, tempfile.TemporaryFile() as output:
        yield Process(ours, NoProcess(), output), theirs


def replayed(pipe: tuple[Process, Connection], *says: msgspec.Struct) -> tuple[ReplayResult, list[int]]:
    """What a worker's messages come to, and how many steps it told of."""
    process, worker = pipe
    steps = list[int]()
    for message in says:
        worker.send_bytes(msgspec.msgpack.encode(message))
    seen = SeenDigests(0, bytes(32 * 13), {6: b"\1" * 32})
    told = WorkerProcess(process, lambda done, _: steps.append(done), lambda at: Records([bytes(at)], None), seen)
    return told.replay(SPAN), steps


def test_a_worker_is_asked_and_answered(pipe: tuple[Process, Connection]) -> None:
    result = ReplayResult(SPAN, 9, ("loss",), b"row")
    says = WorkAdvanced(2, 0.5), ReadRecords([3, 4]), WorkAdvanced(1, None), SpanReplayed(result)
    assert replayed(pipe, *says) == (result, [2, 1])
    asked, answered = (pipe[1].recv_bytes() for _ in range(2))
    assert msgspec.msgpack.decode(asked, type=ReplaySpan) == ReplaySpan(
        SPAN, SeenDigests(7, bytes(192), {6: b"\1" * 32})
    )
    assert msgspec.msgpack.decode(answered, type=Records) == Records([b"\3\4"], None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("ProofError", ProofError),
        ("DataError", DataError),
        ("BackendError", BackendError),
        ("SystemExit", BackendError),
    ],
)
def test_an_error_is_of_a_class_that_a_replay_raises(
    kind: str, error: type[PolError], pipe: tuple[Process, Connection]
) -> None:
    with pytest.raises(error) as raised:
        replayed(pipe, ErrorRaised(kind, "records: is damaged"))
    assert type(raised.value) is error
    assert str(raised.value) == "records: is damaged"


def test_a_worker_that_is_gone_or_says_something_else_rejects_nothing(
    pipe: tuple[Process, Connection],
) -> None:
    with pytest.raises(BackendError, match="a worker "):
        replayed(pipe, Records([], None))
    pipe[1].close()
    with pytest.raises(BackendError, match="a worker "):
        replayed(pipe)


@pytest.mark.parametrize(
    ("platform", "named", "expected"),
    [
        ("cpu", "", [None] * 3),
        ("gpu", "", ["1", "0", "1"]),
        ("gpu", "5,7", ["7", "5", "7"]),
        ("gpu", "5", ["1", "0", "1"]),
    ],
)
def test_workers_take_turns_with_the_devices(
    platform: str, named: str, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform=platform)] * 2)
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [each.get("CUDA_VISIBLE_DEVICES") for each in devices_of_workers(3)] == expected


def test_processes_can_t_share_a_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="tpu")])
    assert devices_of_workers(0) == []
    with pytest.raises(UsageError, match="this backend is tpu"):
        devices_of_workers(1)
