"""Processes that train together agree on all, and name the one that fails, by a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition, Event, Thread
from typing import Any

import jax
import pytest

from pol_jax.errors import ProcessError
from pol_jax.training import processes
from pol_jax.training.processes import Processes, is_taken_away, lost_process


class Store:
    """The key-value store of jax's coordination service, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self._changed = Condition()

    def key_value_set_bytes(self, key: str, value: bytes, allow_overwrite: bool = False) -> None:
        with self._changed:
            assert allow_overwrite or key not in self.values, key
            self.values[key] = value
            self._changed.notify_all()

    def blocking_key_value_get_bytes(self, key: str, milliseconds: int) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: key in self.values, milliseconds / 1000):
                raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: key not found")
            return self.values[key]

    def key_value_delete(self, key: str) -> None:
        with self._changed:
            del self.values[key]

    def key_value_dir_get_bytes(self, folder: str) -> list[tuple[str, bytes]]:
        with self._changed:
            return [(key, value) for key, value in self.values.items() if key.startswith(folder)]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[Processes, Processes, Store]:
    """Two processes that share a store and a thread of their own each."""
    monkeypatch.setattr(processes, "_LOOK_SECONDS", 0.05)
    store, found = Store(), list[Processes]()
    for index in range(2):
        each = Processes(timeout=0.3)
        vars(each).update(index=index, count=2, _client=store, _base="run")
        found.append(each)
    return found[0], found[1], store


def both(pair: Sequence[Any], act: Any) -> list[Any]:
    """What each of two processes gets, at the same time: a result or an error."""
    results: list[Any] = [None, None]

    def run(index: int) -> None:
        try:
            results[index] = act(pair[index])
        except (ProcessError, ValueError) as error:
            results[index] = error

    threads = [Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_all_get_what_the_first_one_decides(pair: tuple[Processes, Processes, Store]) -> None:
    def joined(process: Processes) -> bytes:
        return process.agree("it", str(process.index).encode(), b" and ".join)

    for _ in range(3):
        assert both(pair, joined) == [b"0 and 1"] * 2
    assert len(pair[2].values) == 1  # keys are deleted once they were read


def test_what_fails_at_the_first_one_fails_at_all(pair: tuple[Processes, Processes, Store]) -> None:
    def fail() -> None:
        raise ValueError("no room")

    first, second = both(pair, lambda process: process.first("the claim", fail))
    assert isinstance(first, ValueError)
    assert str(second) == "process 0 failed at the claim: no room"


def test_a_process_that_fails_is_named(pair: tuple[Processes, Processes, Store]) -> None:
    pair[1].fail(ValueError("no room"))
    with pytest.raises(ProcessError, match="process 1 failed: ValueError: no room"):
        pair[0].agree("step 3", b"", b"".join)


def test_a_process_that_does_not_report_is_named(pair: tuple[Processes, Processes, Store]) -> None:
    with pytest.raises(ProcessError, match=r"process 1 has not reported step 3 within 0\.3 s"):
        pair[0].agree("step 3", b"", b"".join)


def test_a_silent_process_is_named_where_all_wait_for_ever(pair: tuple[Processes, Processes, Store]) -> None:
    """As accelerators do in a collective with a process that is gone."""
    told, ended = list[ProcessError](), Event()

    def end(error: ProcessError) -> None:
        told.append(error)
        ended.set()

    with pair[0].watching(end), pair[0].within("step 3"):
        assert ended.wait(60)
    assert str(told[0]).startswith("step 3 has not ended within 0.6 s: process 1 is silent; it is not recorded")


def test_one_process_decides_alone() -> None:
    alone = Processes()
    assert alone.agree("it", b"x", b"".join) == b"x"
    assert alone.first("it", lambda: 3) == 3


def test_no_notice_is_given_where_one_process_runs_alone() -> None:
    assert not is_taken_away(3)


def test_an_error_of_xla_is_told_in_its_first_line() -> None:
    error = RuntimeError("Gloo: Connection closed\nby peer")
    assert lost_process(error) == "can't run, perhaps since another process was lost: Gloo: Connection closed"
