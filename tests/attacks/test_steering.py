"""Attacks that stay within a tolerance at every step: towards a target, unit in the last place by unit.

Each forger controls everything but the verifier's nonce, and names another backend, so that numbers are compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import attacked
import jax.numpy as jnp
import numpy as np
import pytest
from forge import Forger
from steered_runs import STEPS, adam, adapted, coarse, flat, rounded, steered
from unsandboxed import verify

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import attack_named
from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.training.task import Task
from pol_jax.verifying.trusted_program import trust

pytestmark = pytest.mark.usefixtures("in_process")


def test_an_honest_run_elsewhere_is_accepted(tmp_path: Path) -> None:
    """The same forger, changing nothing but the last bits, as another backend does."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        draw = np.random.default_rng(step)
        return [
            np.where(draw.random(leaf.shape) < 0.2, np.nextafter(leaf, np.float32(np.inf)), leaf).astype(leaf.dtype)
            if leaf.dtype == np.float32 and leaf.ndim == 2 and at == len(leaves) - 1
            else leaf
            for at, leaf in enumerate(leaves)
        ]

    report = steered(adam, tmp_path / "proof", change)
    assert report.verdict is not Verdict.REJECTED, report.reasons


def test_a_moment_that_the_optimizer_makes_large(tmp_path: Path) -> None:
    """2e-8 in a first moment whose second one is 0 moves the weight by the whole rate in each of the next steps."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        paths = [leaf.path for leaf in Forger(tmp_path / "proof").commitment.state]
        first = next(at for at, path in enumerate(paths) if "/mu" in path)
        if step < STEPS:
            leaves[first][0] = 2e-8
        return leaves

    report = steered(adam, tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("elements of like magnitude" in reason for reason in report.reasons), report.reasons


def test_a_large_element_excuses_no_small_one(tmp_path: Path) -> None:
    """One unit in the last place of -1e8 is 8: every step jumped to foreign weights so."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        vector = next(leaf for leaf in leaves if leaf.ndim == 1)
        vector[:-1] = 0.25
        return leaves

    report = steered(flat, tmp_path / "proof", change)
    assert report.verdict is Verdict.REJECTED
    assert any("elements of like magnitude" in reason for reason in report.reasons), report.reasons


def test_a_counter_excuses_no_steered_leaf(tmp_path: Path) -> None:
    """A unit in the last place of bfloat16 at every step is further than honest training moves."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        target = jnp.bfloat16(4.0)
        return [
            np.where(leaf < target, np.nextafter(leaf, target), leaf).astype(leaf.dtype) if leaf.ndim == 2 else leaf
            for leaf in leaves
        ]

    report = steered(coarse, tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert report.reasons


def test_weights_that_no_step_changes_stay(tmp_path: Path) -> None:
    """One element in each step, by less than a unit in the last place of the largest one."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        base = next(leaf for leaf in leaves if leaf.dtype == jnp.bfloat16)
        base.reshape(-1)[step % 3] = np.nextafter(base.reshape(-1)[step % 3], jnp.bfloat16(100))
        return leaves

    report = steered(adapted, tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("leaf /base" in reason for reason in report.reasons), report.reasons


def test_a_counter_in_the_same_vector_excuses_no_parameters(tmp_path: Path) -> None:
    """They have all the room that a step's own rounding leaves, and less than a tenth of what the counter moves."""

    def change(step: int, leaves: list[np.ndarray]) -> list[np.ndarray]:
        leaves[0][:-1] += np.sign(3 - leaves[0][:-1]) * np.float32(1e-3)
        return leaves

    report = steered(rounded, tmp_path / "proof", change)
    assert report.verdict is not Verdict.ACCEPTED
    assert any("of the distance of leaf /vector" in reason for reason in report.reasons), report.reasons


def test_signs_of_zeros_in_the_initial_state(tmp_path: Path) -> None:
    """The phase of a negative number is pi or -pi by the sign of its imaginary part, which is 0 at first."""
    task = attacked.phases(steps=STEPS)
    victim = train(task, tmp_path / "victim", choices=Choices(interval=3, seed="zeros"))
    forged = attack_named("signs-of-first-zeros").forge(Setting(victim, task, 1, 1.0), tmp_path / "forged")
    assert forged.gain is not None
    assert forged.gain > 0.5, "it leads elsewhere"
    report = verify(forged.root, task.source, policy=AllSegments(), nonce=b"x", trusted=trust(task))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("zeros with another sign than here" in reason for reason in report.reasons), report.reasons


@pytest.mark.parametrize("task", [adam, flat, coarse, adapted, rounded], ids=lambda task: task.__name__)
def test_these_tasks_are_accepted_bit_for_bit(task: Callable[[], Task], tmp_path: Path) -> None:
    path = tmp_path / "proof"
    train(task(), path, steps=STEPS, choices=Choices(interval=3))
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    assert verify(copy, task().source, policy=AllSegments(), nonce=b"x").verdict is Verdict.ACCEPTED
