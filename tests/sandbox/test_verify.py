"""Verification in a process of its own: same verdicts, and no proof takes the caller along.

Tests that ask only what crosses the pipe have the child as a thread (`in_process`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import psutil
import pytest
import tiny
import unsandboxed
from at_moments import At
from commands import pol
from forge import Forger

import pol_jax
from pol_jax.errors import UsageError, UserCodeError
from pol_jax.protocol.policies import JointSegments, Policy, TopSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.inputs import plan
from pol_jax.training.keys import step_keys

NONCE = b"a nonce of these tests"


@pytest.mark.interpreter
@pytest.mark.parametrize("task", [tiny.plain, tiny.nested])
def test_gives_the_report_of_the_caller_s_process(task: Callable[[], pol_jax.Task], tmp_path: Path) -> None:
    """Records of any pytree cross the pipe; the report comes back whole."""
    pol_jax.train(task(), tmp_path / "proof", steps=8)
    own = unsandboxed.verify(tmp_path / "proof", task().source, nonce=NONCE)
    assert own.verdict is Verdict.ACCEPTED
    assert verify(tmp_path / "proof", task().source, nonce=NONCE) == own


def test_rejection_comes_back_with_its_reason(proof_copy: Path) -> None:
    content = bytearray((proof_copy / "records").read_bytes())
    content[7] ^= 1
    (proof_copy / "records").write_bytes(content)
    report = verify(proof_copy, tiny.plain().source, nonce=NONCE)
    assert report == unsandboxed.verify(proof_copy, tiny.plain().source, nonce=NONCE)
    assert report.verdict is Verdict.REJECTED
    assert "records: differs" in report.reasons[0]


@pytest.mark.usefixtures("in_process")
def test_other_records_are_inconclusive(plain_proof: Path) -> None:
    other = pol_jax.Arrays(tiny.points(seed=9))
    report = verify(plain_proof, other, nonce=NONCE)
    assert report == unsandboxed.verify(plain_proof, other, nonce=NONCE)
    assert report.verdict is Verdict.INCONCLUSIVE
    unlike = pol_jax.Arrays({"x": tiny.points()["x"]})
    assert "records have leaves" in verify(plain_proof, unlike, nonce=NONCE).reasons[0]


@pytest.mark.usefixtures("in_process")
def test_wrong_calls_raise_in_the_caller(plain_proof: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        verify(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="would check nothing"):
        verify(plain_proof, tiny.plain().source, policy=pol_jax.ListedSegments(()))
    with pytest.raises(UsageError, match="is none of digits"):
        verify(plain_proof)
    with pytest.raises(TypeError, match="exactly"):
        verify(plain_proof, tiny.plain().source, exactly=True)  # type: ignore[call-arg]  # what this test is about


def test_command_line_leaves_the_child_unconfined_where_asked(plain_proof: Path) -> None:
    found = pol("verify", plain_proof, "--task", "tiny:plain", "--segments", "0", "--unconfined")
    assert found.exit_code == 0
    assert "file access and network not restricted" in found.stdout


def test_error_of_the_caller_s_source_ends_the_child(plain_proof: Path, children: list[psutil.Process]) -> None:
    class Broken(pol_jax.Arrays):
        def records_at(self, indices: object) -> None:
            raise ConnectionResetError("the disk with the records is gone")

    with pytest.raises(UserCodeError, match="records is gone"):
        verify(plain_proof, Broken(tiny.points()))
    assert [child.is_running() for child in children] == [False]


def endless(data_dir: Path | None = None, steps: int | None = None) -> pol_jax.Task:
    """A task whose step never ends."""
    task = tiny.nested()

    def step(state: jax.Array, batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        start = jnp.abs(state).sum() + jnp.abs(batch["views"][0]).sum()
        end = jax.lax.while_loop(lambda x: x > -1.0, lambda x: x * 0.5 + 1.0, start)
        return state + end, {"loss": end}

    return pol_jax.Task("endless", task.init, step, task.source, task.batch_size, 4)


def greedy() -> pol_jax.Task:
    """A task whose step sorts 64 GiB."""
    task = tiny.nested()

    def step(state: jax.Array, batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        large = jnp.sort(state[:, :, None] * jnp.arange(2**26) % 7, axis=-1)
        end = large[:, :, 5].sum() + batch["views"][0].sum()
        return state + end, {"loss": end}

    return pol_jax.Task("greedy", task.init, step, task.source, task.batch_size, 4)


def with_program_of(task: pol_jax.Task, path: Path) -> None:
    """Nobody can train it, so the forger puts it under the ledger of another run."""
    pol_jax.train(tiny.nested(), path, steps=4)
    forger = Forger(path)
    forger.commit_to_step_program(export_task(task, signature_of(task, "threefry2x32")).step)
    digest = forger.commitment.digest()
    forger.change(0, key=step_keys(digest, "threefry2x32", 0, 1)[0].tobytes())
    for step, key, indices in plan(forger.commitment, 1, 5):
        forger.change(step, key=key.tobytes(), indices=indices, batch=forger.batch_of(indices))
    forger.write()


def test_program_that_eats_memory_is_inconclusive(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    with_program_of(greedy(), path)
    report = verify(path, greedy().source, bounds=Bounds(memory_bytes=2**35, silence_seconds=60))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "stage 9, replay: cannot judge here" in report.reasons[0]
    assert "said nothing" not in report.reasons[0]


def test_program_that_never_ends_is_inconclusive(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    with_program_of(endless(), path)
    bounds = Bounds()
    progress = At(9, lambda: object.__setattr__(bounds, "silence_seconds", 4))
    report = verify(path, endless().source, progress=progress, bounds=bounds)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "stage 9, replay: cannot judge here: the process that reads the proof said nothing" in report.reasons[0]


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("policy", [TopSegments(1), JointSegments(1, "cosine", confidence=0.2, fraction=0.2)])
def test_an_honest_proof_is_accepted(plain_proof: Path, policy: Policy) -> None:
    """Policy and report cross the pipe."""
    report = pol_jax.verify(plain_proof, tiny.plain().source, policy=policy, nonce=NONCE)
    assert report
    assert report.policy == policy
    assert report.coverage is not None
    assert (report.coverage.detection == 0) == isinstance(policy, TopSegments)
    assert msgspec.json.decode(report.to_json(), type=Report) == report
