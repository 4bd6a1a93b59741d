"""How much a step's update depends on its batch and on its state: honest ones by much, nominal ones are told first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny

from pol_jax.program.machine import current_environment
from pol_jax.progress import Silent
from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.reports.dependence import NOMINAL, Dependence
from pol_jax.reports.report import Report
from pol_jax.reports.wording.notices import notices
from pol_jax.storage.proof import open_proof
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task
from pol_jax.verifying import dependence_probe
from pol_jax.verifying.dependence_probe import probe_dependence

SHAPE = tiny.FEATURES, tiny.CLASSES
Pull = Callable[[jax.Array, jax.Array], jax.Array]


def pulled(pull: Pull) -> Task:
    """Parameters, and a sum of all that was seen, which depends on nothing but the records."""

    def init(key: Key) -> PyTree:
        return {"seen": jnp.float32(0), "w": jax.random.normal(key, SHAPE)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        def loss_of(w: jax.Array) -> jax.Array:
            logits = batch["x"] @ w
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(logits)), batch["label"]])

        loss, gradient = jax.value_and_grad(loss_of)(state["w"])
        new = {"seen": state["seen"] + batch["x"].sum(), "w": state["w"] - pull(state["w"], gradient)}
        return new, {"loss": loss}

    return Task("pulled", init, step, Arrays(tiny.points()), 8, 4)


def probed(pull: Pull, path: Path) -> Dependence:
    return probed_task(pulled(pull), path)


def probed_task(task: Task, path: Path) -> Dependence:
    path.mkdir(exist_ok=True)
    commitment, _ = write_commitment(path, task, Choices(), Silent())
    program, (given,) = open_proof(path).program(), step_inputs(commitment, task.source, 1, 2)
    found = probe_dependence(program, [np.asarray(leaf) for leaf in program.init(given.key)], given)
    assert found is not None
    return found


def warnings(found: Dependence) -> list[str]:
    empty = Report.unfinished(AllSegments(), b"", current_environment())
    return [line for line in notices(msgspec.structs.replace(empty, dependence=found)) if "hardly depends" in line]


def test_an_honest_step_depends_on_its_batch_and_on_its_state(tmp_path: Path) -> None:
    found = probed(lambda w, gradient: 0.1 * gradient, tmp_path)
    assert (found.batch_leaf, found.state_leaf) == ("/w", "/w")
    assert 0.1 < (found.batch or 0) <= 2
    assert 0.1 < (found.state or 0) <= 2
    assert warnings(found) == []


def test_a_pull_to_a_target_is_told_first(tmp_path: Path) -> None:
    """The sum of what was seen, a small leaf, depends on the records alone; the parameters hardly do."""
    found = probed(lambda w, gradient: 0.1 * (w - 3) + 1e-6 * gradient, tmp_path)
    assert 0 < (found.batch or 0) < NOMINAL
    assert (found.state or 0) > 0.01
    (line,) = warnings(found)
    assert line.startswith("warning: the update of leaf /w hardly depends on the records: a batch")


def test_a_step_that_hardly_looks_at_its_state_is_told_first(tmp_path: Path) -> None:
    found = probed(lambda w, gradient: 0.1 + 1e-6 * gradient, tmp_path)
    assert len(warnings(found)) == 2


def test_what_is_too_large_or_moves_nothing_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = probed(lambda w, gradient: 0 * gradient, tmp_path)
    assert (found.batch_leaf, found.state_leaf) == ("/seen", "/seen")
    monkeypatch.setattr(dependence_probe, "_MOST_BYTES", 8)
    with pytest.raises(AssertionError):
        probed(lambda w, gradient: gradient, tmp_path / "other")


def line(records: int, batch_size: int) -> Task:
    """Two scalars, fitted to records of two scalars."""

    def init(key: Key) -> PyTree:
        return {"line": jax.random.normal(key, (2,))}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        def loss_of(line: jax.Array) -> jax.Array:
            return jnp.mean((line[0] * batch["x"] + line[1] - batch["y"]) ** 2)

        loss, gradient = jax.value_and_grad(loss_of)(state["line"])
        return {"line": state["line"] - 0.1 * gradient}, {"loss": loss}

    x = np.linspace(1, 2, records, dtype=np.float32)
    return Task("line", init, step, Arrays({"x": x, "y": x * x}), batch_size, 4)


def mean_of(records: np.ndarray) -> Task:
    """One scalar, which is drawn to the mean of the records."""

    def init(key: Key) -> PyTree:
        return {"mean": jnp.float32(0.5)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        away = state["mean"] - batch["x"].mean()
        return {"mean": state["mean"] - 0.1 * away}, {"loss": away * away}

    return Task("mean", init, step, Arrays({"x": records}), 2, 4)


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_records_of_scalars_are_no_other_batch_in_another_order(tmp_path: Path, batch_size: int) -> None:
    """A sum over a batch is the same in any order, and one or two numbers moved on by two are where they were."""
    found = probed_task(line(16, batch_size), tmp_path)
    assert (found.batch or 0) > 0.001
    assert (found.state or 0) > 0.1
    assert warnings(found) == []


def test_of_a_single_number_the_dependence_is_not_known(tmp_path: Path) -> None:
    found = probed_task(line(4, 1), tmp_path / "record")
    assert (found.batch, found.batch_leaf) == (None, None)
    assert (found.state or 0) > 0.01
    found = probed_task(mean_of(np.arange(4, dtype=np.float32)), tmp_path / "state")
    assert (found.batch or 0) > 0.001
    assert (found.state, found.state_leaf) == (None, None)
    found = probed_task(mean_of(np.ones(4, np.float32)), tmp_path / "alike")
    assert found.batch is None


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_numbers_that_are_all_the_same_make_no_other_batch(tmp_path: Path, batch_size: int) -> None:
    """Weights of 1 leave their records when they move on, and nothing of the batch changes but its order."""

    def init(key: Key) -> PyTree:
        return {"mean": jnp.float32(0.5)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        away = state["mean"] - (batch["weights"].mean(1) * batch["x"]).mean()
        return {"mean": state["mean"] - 0.1 * away}, {"loss": away * away}

    records = {"x": np.arange(16, dtype=np.float32), "weights": np.ones((16, 3), np.float32)}
    found = probed_task(Task("weighted", init, step, Arrays(records), batch_size, 4), tmp_path)
    assert (found.batch or 0) > 0.001
