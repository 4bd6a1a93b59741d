"""Verification in a process of its own: same verdicts, and no proof takes the caller along.

Tests that ask only what crosses the pipe have the child as a thread (`in_process`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
from forge import Forger
from places import TESTS

import pol_jax
from pol_jax.errors import UsageError, UserCodeError
from pol_jax.protocol.policies import JointSegments, Policy, TopSegments
from pol_jax.protocol.stages import Stage
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.inputs import plan
from pol_jax.training.keys import step_keys

NONCE = b"a nonce of these tests"


def kill_child(number: int) -> Callable[[], None]:
    def kill() -> None:
        (child,) = psutil.Process().children()
        child.send_signal(number)

    return kill


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


def test_error_of_the_caller_s_source_ends_the_child(plain_proof: Path) -> None:
    class Broken(pol_jax.Arrays):
        def records_at(self, indices: object) -> None:
            raise ConnectionResetError("the disk with the records is gone")

    with pytest.raises(UserCodeError, match="records is gone"):
        verify(plain_proof, Broken(tiny.points()))
    assert psutil.Process().children() == []


@pytest.mark.parametrize(("stage", "number"), [(3, signal.SIGSEGV), (6, signal.SIGKILL), (9, signal.SIGABRT)])
def test_death_of_the_child_is_inconclusive(plain_proof: Path, stage: int, number: signal.Signals) -> None:
    """A crash of a parser, a kill for memory, an abort of XLA."""
    report = verify(plain_proof, tiny.plain().source, progress=At(stage, kill_child(number)))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"the process that reads the proof died of {number.name}" in report.reasons[0]
    outcomes = [each.outcome for each in report.stages]
    died = next(at for at, outcome in enumerate(outcomes) if outcome is Outcome.INCONCLUSIVE)
    assert died + 1 >= stage  # it may have gone on for a moment
    # The initial state is judged by the replay: not before the end of stage 9.
    passed = [outcome for at, outcome in enumerate(outcomes[:died], 1) if at != Stage.INITIAL_STATE.value]
    assert set(passed) <= {Outcome.PASSED}
    assert outcomes[Stage.INITIAL_STATE.value - 1] in (Outcome.NOT_REACHED, Outcome.INCONCLUSIVE)
    assert set(outcomes[died + 1 :]) <= {Outcome.NOT_REACHED}


def test_silence_is_inconclusive(plain_proof: Path) -> None:
    progress = At(4, kill_child(signal.SIGSTOP))
    report = verify(plain_proof, tiny.plain().source, progress=progress, bounds=Bounds(silence_seconds=3))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "said nothing for 3 s" in report.reasons[0]
    assert psutil.Process().children() == []


def test_time_in_all_is_bounded(plain_proof: Path) -> None:
    """Also for a child that keeps talking."""
    report = verify(plain_proof, tiny.plain().source, bounds=Bounds(total_seconds=0.5))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "took more than the 0.5 s that it has in all" in report.reasons[0]
    assert psutil.Process().children() == []


def test_time_in_all_ends_before_silence(plain_proof: Path) -> None:
    progress = At(4, kill_child(signal.SIGSTOP))
    bounds = Bounds(silence_seconds=300, total_seconds=12)
    report = verify(plain_proof, tiny.plain().source, progress=progress, bounds=bounds)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "took more than the 12 s" in report.reasons[0]
    assert verify(plain_proof, tiny.plain().source, bounds=Bounds(total_seconds=300))


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


def test_modules_beside_a_proof_are_not_imported(proof_copy: Path, tmp_path: Path) -> None:
    """Neither by the child nor by the caller: a proof is data, also where one stands in its directory."""
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()"
    for name in ("jaxtyping", "msgspec", "secrets", "optax", "flax"):
        (tmp_path / f"{name}.py").write_text(trap)
        (proof_copy / f"{name}.py").write_text(trap)
    code = "from pol_jax.cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    for folder, proof in ((proof_copy, "."), (tmp_path, "proof")):
        command = [sys.executable, "-P", "-c", code, "verify", proof, "--task", "tiny:plain"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "is no file of a proof" in done.stdout
    assert not (tmp_path / "sprung").exists()


def test_child_ends_with_its_caller(plain_proof: Path) -> None:
    """A caller that is killed leaves nothing behind that burns a processor."""
    code = (
        "import os, sys, tiny; from pol_jax import verify; from pol_jax.progress import Silent\n"
        "class Slow(Silent):\n"
        "    def stage(self, number):\n"
        "        import psutil, time; print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)\n"
        "verify(sys.argv[1], tiny.plain().source, progress=Slow())"
    )
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", code, str(plain_proof)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as caller:
        assert caller.stdout is not None
        child = psutil.Process(int(caller.stdout.readline()))
        caller.kill()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert not alive


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
