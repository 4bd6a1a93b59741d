"""What a verifier asks by options, for proofs and openings alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from made_documents import made_commitment
from msgspec.structs import replace as changed

from pol_jax.cli import verifier_options
from pol_jax.cli.verifier_options import VerifierOptions, split_options
from pol_jax.errors import UsageError
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.bounds import Bounds
from pol_jax.training.task import Task


def test_options_of_proofs_alone_stand_apart() -> None:
    common, others = split_options({"task": ("digits",), "jobs": 2, "segments": "0,3", "parent": ()})
    assert common == VerifierOptions(task=("digits",), jobs=2)
    assert others == {"segments": "0,3", "parent": ()}


def test_what_is_left_out_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = VerifierOptions().request_fields()
    assert (fields["limits"], fields["jobs"], fields["model"]) == (Limits(), 1, None)
    monkeypatch.chdir(tmp_path)
    asked = VerifierOptions(max_constants=9, jobs=3, model=Path("model.npz"), exact=True, leaves=("/params",))
    fields = asked.request_fields()
    assert (fields["limits"], fields["jobs"], fields["exact"]) == (Limits(constant_bytes=9), 3, True)
    assert (fields["model"], fields["leaves"]) == (str(tmp_path / "model.npz"), ("/params",))
    assert VerifierOptions().chance == {}
    assert VerifierOptions(confidence=0.5).chance == {"confidence": 0.5}
    assert VerifierOptions(confidence=0.5, fraction=0.25).chance == {"confidence": 0.5, "fraction": 0.25}


def test_memory_is_in_gigabytes() -> None:
    assert VerifierOptions().bounds() == Bounds(silence_seconds=900, total_seconds=None, memory_bytes=None)
    asked = VerifierOptions(timeout=3.0, total_timeout=7.0, memory=0.5, unconfined=True).bounds()
    assert asked == Bounds(silence_seconds=3, total_seconds=7, memory_bytes=500_000_000, confined=False)


def test_records_are_called_by_the_task_that_was_named() -> None:
    assert VerifierOptions().records == "the built-in task that the proof names"
    assert VerifierOptions(task=("a", "b:c")).records == "--task a, b:c"


def test_a_program_that_must_be_trusted_needs_a_source() -> None:
    assert VerifierOptions().trusted() is None
    assert VerifierOptions(task=("digits",), same_program=True).trusted() is not None
    with pytest.raises(UsageError, match="--same-program: there is no source"):
        VerifierOptions(same_program=True).trusted()


def test_of_several_tasks_the_one_is_taken_whose_name_the_proof_has(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {name: replace(tiny.plain(), name=name) for name in ("a", "b")}

    def load(name: str, _folder: Path | None, **_: object) -> Task:
        return tasks[name]

    monkeypatch.setattr(verifier_options, "load_named", load)
    commitment = made_commitment()
    of_b = changed(commitment, task=changed(commitment.task, name="b"))
    assert VerifierOptions(task=("a",)).source()(of_b) is tasks["a"].source, "the only one"
    assert VerifierOptions(task=("a", "b")).source()(of_b) is tasks["b"].source
    with pytest.raises(UsageError, match="none of the given tasks is called 'digits'"):
        VerifierOptions(task=("a", "b")).source()(commitment)
