"""A run is opened apart, finished or not, with as much memory as its documents explain."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from pol_jax.errors import BackendError
from pol_jax.proving.recording import Recording
from pol_jax.sandbox.proofs import open_apart
from pol_jax.sandbox.runs import open_run_apart
from pol_jax.storage.proof import open_proof


def test_a_run_has_documents_of_its_own_and_rows_of_another_process(
    plain_proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()

    def memory(_commitment: object, steps: int) -> None:
        asked.append(steps)

    monkeypatch.setattr("pol_jax.sandbox.runs.memory_of_reading", memory)
    with open_run_apart(plain_proof) as run:
        assert run.claim == open_proof(plain_proof).claim
        assert [row.step for row in run.rows()] == list(range(tiny.STEPS + 1))
    assert asked == [tiny.STEPS]


@pytest.mark.apart
def test_a_command_ends_in_one_line_where_memory_does(plain_proof: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pol_jax.sandbox.runs.memory_of_reading", lambda *_: 2**24)
    with open_apart(plain_proof) as proof, pytest.raises(BackendError, match="out of memory") as raised:
        list(proof.rows())
    assert "\n" not in str(raised.value)


def test_a_run_that_is_not_finished_is_read_too(tmp_path: Path) -> None:
    with Recording(tiny.plain(), tmp_path / "run") as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 9:
                break
    own = open_proof(tmp_path / "run")
    with open_apart(tmp_path / "run") as proof:
        assert (proof.last_step, list(proof.rows())) == (9, list(own.rows()))
