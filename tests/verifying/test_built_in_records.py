"""A proof's name chooses among the verifier's own tasks, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from made_documents import made_commitment
from msgspec.structs import replace

from pol_jax.training.task import BUILT_IN, Task
from pol_jax.verifying import built_in_records
from pol_jax.verifying.built_in_records import UnknownTaskError, built_in_source


def test_records_are_those_of_the_built_in_task_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked, task = list[tuple[str, Path | None]](), tiny.plain()

    def load(name: str, *, data_dir: Path | None) -> Task:
        asked.append((name, data_dir))
        return task

    monkeypatch.setattr(built_in_records, "load_task", load)
    assert built_in_source(tmp_path)(made_commitment()) is task.source
    assert asked == [("digits", tmp_path)]


@pytest.mark.parametrize("name", ["mine", "pol_jax.tasks.digits:digits", ""])
def test_any_other_name_finds_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_in_records, "load_task", lambda *_, **__: pytest.fail("code of a proof's choice"))
    commitment = made_commitment()
    commitment = replace(commitment, task=replace(commitment.task, name=name))
    with pytest.raises(UnknownTaskError) as refused:
        built_in_source()(commitment)
    assert all(each in str(refused.value) for each in BUILT_IN)
