"""The Python interface: train, verify, a loop of one's own, states as ordinary pytrees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny

import pol_jax
from pol_jax.training import states
from pol_jax.training.inputs import StepInput


@pytest.mark.interpreter
def test_names_are_there_and_cost_no_jax() -> None:
    code = "import sys, pol_jax; print('jax' in sys.modules); [getattr(pol_jax, name) for name in pol_jax.__all__]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert sorted(pol_jax.__all__) == pol_jax.__all__
    with pytest.raises(AttributeError):
        pol_jax.nothing  # noqa: B018


def test_report_is_true_when_accepted(plain_proof: Path, proof_copy: Path) -> None:
    assert pol_jax.verify(plain_proof, tiny.plain().source)
    (proof_copy / "claim.json").unlink()
    report = pol_jax.verify(proof_copy, tiny.plain().source)
    assert not report
    assert report.verdict is pol_jax.Verdict.REJECTED
    assert report.reasons == ("stage 1, limits and names: claim.json: is missing; is the run finished?",)


@pytest.mark.interpreter
def test_own_loop_gives_the_same_claim_as_train(plain_proof: Path, tmp_path: Path) -> None:
    """Whose loop it is makes no difference; neither does an interruption of it."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    for stop in (10, None):
        with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
            state = recording.state
            expected = jax.tree.structure(tiny.plain().init(jax.random.key(0)))
            assert jax.tree.structure(state) == expected  # type: ignore[operator, unused-ignore]  # jax gives it no type
            for inputs in recording:
                state, metrics = recording.step(state, inputs)
                assert set(metrics) == {"loss", "norm"}
                if inputs.step == stop:
                    break
        assert (tmp_path / "proof/claim.json").exists() == (stop is None)
    own, theirs = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert own.claim == theirs.claim
    assert not pol_jax.diff(own, theirs)


def train_until(step: int, error: Exception, out: Path) -> None:
    with pol_jax.Recording(tiny.plain(), out) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == step:
                raise error


def test_error_in_own_loop_passes_and_keeps_the_run_open(tmp_path: Path) -> None:
    own = ArithmeticError("mine")
    with pytest.raises(ArithmeticError) as raised:
        train_until(8, own, tmp_path / "proof")
    assert raised.value is own
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof") as recording:
        assert recording.start in (0, 6)  # what was not observed yet is dropped


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", ["linen", "nested"])
def test_state_and_records_may_be_any_pytree(name: str, tmp_path: Path) -> None:
    task = pol_jax.load_task(f"tiny:{name}")
    proof = pol_jax.train(task, tmp_path / "proof", steps=8, choices=pol_jax.Choices(interval=3))
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())
    losses = [row.loss for row in proof.rows()]
    assert losses[0] is None
    assert all(loss is not None and np.isfinite(loss) for loss in losses[1:])


@pytest.mark.usefixtures("in_process")
def test_state_digests_may_be_rarer(tmp_path: Path) -> None:
    task = tiny.plain()
    choices = pol_jax.Choices(interval=6, witness_interval=4)
    proof = pol_jax.train(task, tmp_path / "proof", steps=14, choices=choices)
    assert [row.step for row in proof.rows() if row.state] == [0, 4, 6, 8, 12, 14]
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())


@pytest.mark.usefixtures("in_process")
def test_states_that_are_digested_where_they_lie_give_the_same_proof(
    plain_proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large states are; the checkpoints are copies that later steps don't change."""
    monkeypatch.setattr(states, "_COPIED_BYTES", 0)
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    proof = pol_jax.train(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices, self_check=1)
    assert proof.claim == pol_jax.open_proof(plain_proof).claim
    assert pol_jax.verify(tmp_path / "proof", tiny.plain().source, policy=pol_jax.AllSegments())


@pytest.mark.usefixtures("in_process")
def test_other_prng_implementation(tmp_path: Path) -> None:
    task = tiny.nested()
    pol_jax.train(task, tmp_path / "proof", steps=4, choices=pol_jax.Choices(prng="rbg"))
    assert pol_jax.verify(tmp_path / "proof", task.source)


def test_all_metrics_of_each_step_are_told_in_order(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    proof = pol_jax.train(
        tiny.plain(), tmp_path / "proof", steps=12, on_step=lambda step, metrics: told.append((step, dict(metrics)))
    )
    assert [step for step, _ in told] == list(range(1, 13))
    assert all(set(metrics) == {"loss", "norm"} for _, metrics in told)
    assert [metrics["loss"] for _, metrics in told] == [row.loss for row in proof.rows()][1:]


def test_a_logger_that_fails_ends_the_run_and_spoils_nothing(tmp_path: Path) -> None:
    def full(step: int, metrics: object) -> None:
        if step == 8:
            raise OSError(28, "No space left on device")

    with pytest.raises(pol_jax.PolError, match=r"on_step of step 8: .* in full: OSError: .*No space left"):
        pol_jax.train(tiny.plain(), tmp_path / "proof", steps=12, on_step=full)
    assert pol_jax.train(tiny.plain(), tmp_path / "proof").claim


def test_names_are_listed_and_the_version_is_told() -> None:
    assert {*pol_jax.__all__, "__version__"} <= set(dir(pol_jax))
    assert pol_jax.__version__.count(".") == 2
    done = subprocess.run([sys.executable, "-m", "pol_jax", "--version"], capture_output=True, text=True, check=True)
    assert pol_jax.__version__ in done.stdout


def test_what_a_notebook_shows_is_one_line(plain_proof: Path) -> None:
    proof, task = pol_jax.open_proof(plain_proof), tiny.plain()
    assert repr(proof) == f"<Proof {str(plain_proof)!r}: 'tiny plain', 24 steps>"
    assert (
        repr(StepInput(3, np.zeros(2, np.uint32), np.arange(4, dtype=np.uint64), ()))
        == "<StepInput of step 3: 4 records>"
    )
    assert repr(task) == "<Task 'tiny plain': Arrays, batch size 4, 24 steps, interval 6>"


def test_a_report_is_read_again(plain_proof: Path) -> None:
    report = pol_jax.verify(plain_proof, tiny.plain().source)
    assert pol_jax.Report.from_json(report.to_json()) == report
    assert repr(report).startswith("<Report: accepted, ")
    with pytest.raises(pol_jax.PolError, match="this is no report"):
        pol_jax.Report.from_json(b"{}")
