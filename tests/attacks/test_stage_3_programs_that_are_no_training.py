"""Attacks by programs that are no training: weights inside, batches or states ignored (stage 3).

They are refused before anything of them runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest
import tiny
from click.testing import CliRunner
from exported_functions import TARGET, exported
from forge import Forger, refused
from jax import lax
from unsandboxed import verify

from pol_jax.cli.main import pol
from pol_jax.errors import TaskError
from pol_jax.program.artifact import STEP_FILE, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol.limits import Limits
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.report import Report
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task, load_task

PRNG = "threefry2x32"


@cache
def true_step() -> tuple[Signature, Callable[..., Any]]:
    """The signature and the step of `tiny.plain`, as they are exported."""
    task = tiny.plain()
    signature = signature_of(task, PRNG)
    return signature, jax.export.deserialize(bytearray(export_task(task, signature).step)).call


def step_of(change: Callable[..., Any]) -> bytes:
    """An artifact with the signature of `tiny.plain` and the step ``change(true step, leaves, batch, key)``."""
    signature, true = true_step()
    step = exported(lambda *given: change(true, *given), signature.leaves(), signature.batch(), signature.key())
    return bytes(step.serialize())


# --- attacks -----------------------------------------------------------------------------------------------------


def ignores_batch(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    _, metrics = true(leaves, batch, key)
    return true(leaves, tuple(jnp.ones_like(leaf) for leaf in batch), key)[0], metrics


def ignores_batch_through_a_loop(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    """The batch goes round beside the state, and never into it."""
    _, metrics = true(leaves, batch, key)
    body = lambda _, both: (tuple(leaf * 2 for leaf in both[0]), tuple(leaf + 1 for leaf in both[1]))  # noqa: E731
    numbers = tuple(leaf for leaf in leaves if leaf.dtype != jnp.bool_)
    new, seen = lax.fori_loop(0, 3, body, (numbers, batch))
    return new, (metrics[0] + seen[1].sum(), *metrics[1:])


@jax.jit
def keep_first(leaves: Any, batch: Any) -> Any:
    return tuple(leaf + leaf for leaf in leaves), batch


def ignores_batch_through_a_call(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, batch = lax.optimization_barrier(keep_first(leaves, batch))
    return new, true(leaves, batch, key)[1]


def ignores_state(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    _, metrics = true(leaves, batch, key)
    return true(tuple(jnp.zeros_like(leaf) for leaf in leaves), batch, key)[0], metrics


def ignores_state_through_a_branch(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    _, metrics = true(leaves, batch, key)
    fresh = tuple(jnp.zeros(leaf.shape, leaf.dtype) + batch[0][0].astype(leaf.dtype) for leaf in leaves)
    new, _ = lax.cond(batch[1].sum() > 0, lambda old: (fresh, old), lambda old: (fresh, old), leaves)
    return new, metrics


def ignores_batch_in_the_loss(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
    new, metrics = true(leaves, batch, key)
    return new, tuple(sum(jnp.sum(leaf).astype(jnp.float32) for leaf in leaves) for _ in metrics)


NO_TRAINING = {
    ignores_batch: "the new state does not depend on the batch",
    ignores_batch_through_a_loop: "the new state does not depend on the batch",
    ignores_batch_through_a_call: "the new state does not depend on the batch",
    ignores_state: "the new state does not depend on the old state",
    ignores_state_through_a_branch: "the new state does not depend on the old state",
    ignores_batch_in_the_loss: "the loss does not depend on the batch",
}


@pytest.mark.parametrize("attack", NO_TRAINING, ids=lambda attack: attack.__name__)
def test_step_that_is_no_training(
    attack: Callable[..., Any], proof_copy: Path, verify_plain: Callable[..., Report]
) -> None:
    forger = Forger(proof_copy)
    forger.commit_to_step_program(step_of(attack))
    forger.write_documents()
    refused(verify_plain(proof_copy), 3, STEP_FILE, NO_TRAINING[attack])


def in_one_constant(shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(TARGET)[: shape[0], : shape[1]]


def in_many_scalars(shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack([jnp.full(4, value) for value in TARGET.reshape(-1)[:4500].tolist()])[: shape[0], : shape[1]]


@pytest.mark.parametrize("hide", [in_one_constant, in_many_scalars], ids=lambda hide: hide.__name__)
def test_step_that_carries_its_target(
    hide: Callable[..., Any], proof_copy: Path, verify_plain: Callable[..., Report]
) -> None:
    """It goes to weights that it has inside, and pretends to learn; both the batch and the state flow into them."""

    def attack(true: Callable[..., Any], leaves: Any, batch: Any, key: Any) -> Any:
        new, metrics = true(leaves, batch, key)
        return (*new[:-1], new[-1] + 0.5 * (hide(new[-1].shape) - new[-1])), metrics

    forger = Forger(proof_copy)
    forger.commit_to_step_program(step_of(attack))
    forger.write_documents()
    refused(verify_plain(proof_copy), 3, "program", "bytes of constants, more than the limit of 16384")
    report = verify_plain(proof_copy, limits=Limits(constant_bytes=2**17))
    refused(report, 5, "row 0", "key")  # let through, it is still not the program of this ledger


# --- the prover is told ------------------------------------------------------------------------------------------


def changed(step: Callable[..., Any]) -> Task:
    task = tiny.nested()
    return Task("changed", task.init, step, task.source, tiny.BATCH, 4, 2)


def with_table(state: Any, batch: Any, key: Any) -> Any:
    new, metrics = tiny.nested().step(state, batch, key)
    return new + TARGET[:16, :16] * jnp.asarray(TARGET).sum(), metrics


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (lambda state, batch, key: (state * 2, {"loss": batch["views"][0].sum()}), "not depend on the batch"),
        (
            lambda state, batch, key: (
                jnp.zeros_like(state) + batch["views"][0].sum(),
                {"loss": batch["views"][0][0, 0]},
            ),
            "not depend on the old state",
        ),
        (lambda state, batch, key: (state + batch["views"][0][0], {"loss": state.sum()}), "loss does not depend"),
        (with_table, "bytes of constants, and a verifier allows 16384: make large arrays part of the records"),
    ],
)
def test_exporter_refuses_what_a_verifier_would(step: Callable[..., Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=problem) as caught:
        train(changed(step), tmp_path / "proof", steps=2)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "proof" / "commitment.json").exists()


def test_verifier_may_let_large_constants_through(tmp_path: Path) -> None:
    """A task that needs them says so, and the verifier agrees or not."""
    task = changed(with_table)
    train(task, tmp_path / "proof", steps=2, choices=Choices(constant_bytes=2**17))
    report = verify(tmp_path / "proof", task.source)
    refused(report, 3, "program", "more than the limit of 16384", "constant_bytes")
    report = verify(tmp_path / "proof", task.source, limits=Limits(constant_bytes=2**17))
    assert report, report.reasons
    assert "bytes of constants" in report.stages[2].detail


@pytest.mark.usefixtures("in_process")
def test_verify_command_takes_a_limit(plain_proof: Path) -> None:
    command = ["verify", str(plain_proof), "--task", "tiny:plain", "--segments", "0", "--max-constants"]
    too_few = CliRunner().invoke(pol, [*command, "5"])
    assert (too_few.exit_code, "more than the limit of 5 " in too_few.output) == (1, True), too_few.output
    enough = CliRunner().invoke(pol, [*command, "5000"])
    assert (enough.exit_code, "bytes of constants" in enough.output) == (0, True), enough.output


# --- true tasks pass ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [tiny.plain, tiny.linen, tiny.nested, lambda: load_task("digits")])
def test_true_tasks_pass(task: Callable[[], Task]) -> None:
    made = task()
    signature = signature_of(made, PRNG)
    program = load_program(export_task(made, signature), signature)
    assert 0 < program.constant_bytes < Limits().constant_bytes / 4
