"""The reproduction error of a backend is the distance of its states from the committed ones."""

from __future__ import annotations

import numpy as np
import pytest
from measured_backends import STEPS, outcome

from pol_jax.backends import runner
from pol_jax.backends.measurement import reproductions
from pol_jax.backends.overview import relative
from pol_jax.backends.results import Results
from pol_jax.backends.workload import Workload


@pytest.mark.interpreter
def test_as_it_comes_this_machine_gives_the_prover_s_bits(as_it_comes: Results) -> None:
    found = outcome(as_it_comes, "cpu")
    assert (found.status, found.repeats) == ("ran", True)
    assert [(each.kind, each.start, each.stop) for each in found.reproductions] == [
        *(("step", step - 1, step) for step in STEPS),
        *(("segment", 7, stop) for stop in (8, 9, 10)),
    ]
    assert all(each.exact and each.total.equal and each.total.l2 == 0 for each in found.reproductions)
    assert {each.tolerance for each in found.reproductions} == {None}
    assert all((each.total.update_l2 or 0) > 0 for each in found.reproductions)


def test_another_compilation_gives_other_bits_and_the_errors_say_by_how_much(
    results: Results, workload: Workload
) -> None:
    found = outcome(results, "cpu, no optimisation")
    steps = found.of("step")
    assert found.repeats
    assert not all(each.exact for each in steps)
    for each in steps:
        assert relative(each.total) < 1e-5
        assert each.tolerance == (None if each.exact else "passed")
        assert [leaf.leaf for leaf in each.leaves] == [leaf.path for leaf in workload.commitment.state]
    worst = max(found.of("step"), key=lambda each: relative(each.total))
    by_leaf = [leaf.l2 or 0.0 for leaf in worst.leaves]
    assert worst.total.l2 == pytest.approx(np.linalg.norm(by_leaf))
    assert worst.total.linf == max(leaf.linf or 0.0 for leaf in worst.leaves)


def test_the_errors_are_those_of_the_states(
    workload: Workload, measured: tuple[Results, dict[str, runner.BackendRun]]
) -> None:
    """As numpy has them; and the loss counts where the state is equal."""
    ran = measured[1]["cpu, no optimisation"]
    spec = workload.commitment.state
    for each in reproductions(workload, ran)[: len(STEPS)]:
        content, at, squares = ran.arrays[f"step/{each.stop}"], 0, 0.0
        for leaf, committed in zip(spec, workload.opened.state(each.stop), strict=True):
            own = content[at : at + leaf.nbytes].copy().view(committed.dtype).reshape(leaf.shape)
            at += leaf.nbytes
            if leaf.dtype in ("float32", "bfloat16"):
                squares += float(np.sum((own.astype(np.float64) - committed.astype(np.float64)) ** 2))
        assert each.total.l2 == pytest.approx(np.sqrt(squares), rel=1e-12)
    exact = {**ran.arrays, "step/8": work_state(workload, 8), "loss/8": np.zeros(4, np.uint8)}
    changed = next(each for each in reproductions(workload, ran_with(ran, exact)) if each.stop == 8)
    assert changed.total.equal
    assert not changed.exact
    for name in (
        "step/8",
        "loss/8",
        "segment/7/9",
        "segment loss/7/9",
        "perturbed/0,1/step/8",
        "perturbed/1,-1/loss/8",
    ):
        for damage in ({}, {name: np.zeros(1, np.uint8)}, {name: np.zeros(8, np.float64)}):
            arrays = {key: value for key, value in ran.arrays.items() if key != name} | damage
            with pytest.raises(ValueError, match=r"array|bytes|losses|dtype"):
                reproductions(workload, ran_with(ran, arrays))


def work_state(workload: Workload, step: int) -> np.ndarray:
    return np.frombuffer(b"".join(leaf.tobytes() for leaf in workload.opened.state(step)), np.uint8)


def ran_with(ran: runner.BackendRun, arrays: dict[str, np.ndarray]) -> runner.BackendRun:
    return runner.BackendRun(ran.environment, ran.compile_seconds, ran.step_seconds, ran.repeats, arrays)
