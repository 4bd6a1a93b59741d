"""The Python interface: train, verify, a loop of one's own, states as ordinary pytrees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from orbax.checkpoint import v1 as ocp

import pol_jax
from pol_jax.errors import DataError, UsageError
from pol_jax.training.records import Arrays, Cached

SCRIPTS = Path(__file__).parents[1] / "scripts"


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


def test_own_loop_gives_the_same_claim_as_train(plain_proof: Path, tmp_path: Path) -> None:
    """Whose loop it is makes no difference; neither does an interruption of it."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    for stop in (10, None):
        with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
            state = recording.state
            assert jax.tree.structure(state) == jax.tree.structure(tiny.plain().init(jax.random.key(0)))
            for inputs in recording:
                state, metrics = recording.step(state, inputs)
                assert set(metrics) == {"loss", "norm"}
                if inputs.step == stop:
                    break
        assert (tmp_path / "proof/claim.json").exists() == (stop is None)
    mine, theirs = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert mine.claim == theirs.claim
    assert not pol_jax.diff(mine, theirs)


def train_until(step: int, error: Exception, out: Path) -> None:
    with pol_jax.Recording(tiny.plain(), out) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == step:
                raise error


def test_error_in_own_loop_passes_and_keeps_the_run_open(tmp_path: Path) -> None:
    mine = ArithmeticError("mine")
    with pytest.raises(ArithmeticError) as raised:
        train_until(8, mine, tmp_path / "proof")
    assert raised.value is mine
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof") as recording:
        assert recording.start in (0, 6)  # what was not observed yet is dropped


def test_final_state_is_an_ordinary_pytree(plain_proof: Path) -> None:
    proof = pol_jax.open_proof(plain_proof)
    state = proof.final_state()
    assert state["params"]["w"].shape == (tiny.FEATURES, tiny.CLASSES)
    assert state["momentum"].dtype == jnp.bfloat16
    assert int(state["count"]) == tiny.STEPS
    assert jnp.issubdtype(state["key"].dtype, jax.dtypes.prng_key)
    assert state["nothing"].shape == (0, 3)
    task = tiny.plain()
    new, _ = task.step(state, task.source.take(np.arange(4)), jax.random.key(0))  # goes on like any state
    assert int(new["count"]) == tiny.STEPS + 1


def test_checkpoints_are_plain_orbax(plain_proof: Path) -> None:
    """No class of ours, no target: what a user without this package sees."""
    found = ocp.load(plain_proof.absolute() / f"checkpoints/{tiny.STEPS:010d}")
    state = pol_jax.open_proof(plain_proof).final_state()
    assert set(found) == {"params", "momentum", "count", "key"}  # Orbax stores no empty arrays
    np.testing.assert_array_equal(found["params"]["w"], state["params"]["w"])
    np.testing.assert_array_equal(found["key"], jax.random.key_data(state["key"]))


def test_proof_holds_no_path_of_this_machine(plain_proof: Path) -> None:
    for file in plain_proof.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert str(plain_proof).encode() not in content, file
            assert str(Path(__file__).parent).encode() not in content, file


@pytest.mark.parametrize("name", ["linen", "nested"])
def test_state_and_records_may_be_any_pytree(name: str, tmp_path: Path) -> None:
    task = pol_jax.load_task(f"tiny:{name}")
    proof = pol_jax.train(task, tmp_path / "proof", steps=8, choices=pol_jax.Choices(interval=3))
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())
    losses = [row.loss_value for row in proof.rows()]
    assert losses[0] is None
    assert all(np.isfinite(losses[1:]))


def test_state_digests_may_be_rarer(tmp_path: Path) -> None:
    task = tiny.plain()
    choices = pol_jax.Choices(interval=6, witness_interval=4)
    proof = pol_jax.train(task, tmp_path / "proof", steps=14, choices=choices)
    assert [row.step for row in proof.rows() if row.state] == [0, 4, 6, 8, 12, 14]
    assert pol_jax.verify(tmp_path / "proof", task.source, policy=pol_jax.AllSegments())


def test_other_prng_implementation(tmp_path: Path) -> None:
    task = tiny.nested()
    pol_jax.train(task, tmp_path / "proof", steps=4, choices=pol_jax.Choices(prng="rbg"))
    assert pol_jax.verify(tmp_path / "proof", task.source)


def test_rows_are_found_without_reading_the_others(plain_proof: Path, proof_copy: Path) -> None:
    (proof_copy / "ledger/0000000000.parquet").unlink()
    assert pol_jax.open_proof(proof_copy).row(20) == pol_jax.open_proof(plain_proof).row(20)
    with pytest.raises(UsageError, match="expected 0 to 24"):
        pol_jax.open_proof(plain_proof).row(25)


def test_open_run_can_be_read(plain_proof: Path, tmp_path: Path) -> None:
    """Before the claim is there: rows of the journal follow the sealed ones."""
    choices = pol_jax.Choices(interval=tiny.INTERVAL, seed="tests")
    with pol_jax.Recording(tiny.plain(), tmp_path / "proof", steps=tiny.STEPS, choices=choices) as recording:
        state = recording.state
        for inputs in recording:
            state, _ = recording.step(state, inputs)
            if inputs.step == 10:
                break
    part, whole = pol_jax.open_proof(tmp_path / "proof"), pol_jax.open_proof(plain_proof)
    assert part.last_step == 10
    assert list(part.rows()) == list(whole.rows())[:11]
    assert part.row(9) == whole.row(9)
    with pytest.raises(UsageError, match="not finished"):
        part.final_state()
    difference = pol_jax.diff(part, whole)
    assert not difference
    assert difference.steps == (10, 24)


def test_sources() -> None:
    """What counts as records, and what is refused."""
    from pol_jax.training.records import record_spec, take

    arrays = Arrays({"x": np.arange(6).reshape(3, 2), "y": np.arange(3.0)})
    spec = record_spec(arrays)
    assert [(leaf.path, leaf.dtype, leaf.shape) for leaf in spec] == [("/x", "int32", (2,)), ("/y", "float32", ())]
    rows = [arrays[i] for i in range(3)]
    for source in (arrays, rows, Cached(rows)):
        x, y = take(source, spec, np.array([2, 0]))
        np.testing.assert_array_equal(x, [[4, 5], [0, 1]])
        np.testing.assert_array_equal(y, [2, 0])
        assert (x.dtype, y.dtype) == (np.int32, np.float32)
    with pytest.raises(DataError, match="doesn't fit int32"):
        take([{"x": np.array([2**40, 0]), "y": 0.0}], spec, np.array([0]))
    with pytest.raises(DataError, match="leaf /x"):
        take([{"x": np.zeros((3,), np.int32), "y": 0.0}], spec, np.array([0]))
    with pytest.raises(DataError, match="no records"):
        record_spec([])
    with pytest.raises(DataError, match="array of numbers"):
        record_spec([{"text": "words"}])
    with pytest.raises(DataError, match="common first axis"):
        Arrays({"x": np.zeros(3), "y": np.zeros(4)})


def test_example_of_an_own_loop_runs_and_verifies(tmp_path: Path) -> None:
    run = [sys.executable, "own_loop.py", "--out", str(tmp_path / "proof"), "--steps", "120"]
    subprocess.run(run, cwd=SCRIPTS, check=True, capture_output=True)
    verify = [sys.executable, "-m", "pol_jax.cli", "verify", str(tmp_path / "proof"), "--task", "own_loop:task"]
    assert subprocess.run(verify, cwd=SCRIPTS, check=False, capture_output=True).returncode == 0


def test_what_no_commitment_can_say_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from pol_jax.errors import TaskError

    task = tiny.nested()
    for wrong in ({"rate": float("nan")}, {"seed": 2**60}):
        with pytest.raises(TaskError, match="description"):
            pol_jax.train(replace(task, hyperparameters=wrong), tmp_path / "proof", steps=1)
    with pytest.raises(UsageError, match="nonce"):
        pol_jax.train(task, tmp_path / "proof", steps=1, choices=pol_jax.Choices(seed="x" * 300))
    with pytest.raises(UsageError, match="batch_size"):
        pol_jax.train(replace(task, batch_size=2**21), tmp_path / "proof", steps=1)
