"""Attacks on verdicts within a tolerance: what hides behind a segment that was not reached, a loss, or another leaf."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger, refused, undecided
from made_steps import with_leaf
from unsandboxed import verify

from pol_jax.protocol.environment import Environment
from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

Verify = Callable[..., Report]


def elsewhere(forger: Forger) -> Environment:
    """What a prover may say to have numbers compared in place of bits."""
    return msgspec.structs.replace(forger.claim.environment, cpu="an abacus")


def nudged(loss: float | None) -> bytes:
    """Off by one unit in the last place."""
    assert loss is not None
    return bytes(np.nextafter(np.float32(loss), np.float32(np.inf)).tobytes())


# --- a proof with few checkpoints --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 segments of two steps; checkpoints 0, 6, 12, 18, 24."""
    path = tmp_path_factory.mktemp("thinned") / "proof"
    train(tiny.plain(), path, steps=24, keep_every=3, choices=Choices(interval=2, seed="review"))
    return path


@pytest.fixture
def forger(thinned: Path, tmp_path: Path) -> Forger:
    return Forger(Path(shutil.copytree(thinned, tmp_path / "proof")))


def test_a_false_segment_behind_one_that_was_not_reached(forger: Forger, verify_plain: Verify) -> None:
    """Row 3 ends a replay early, within the tolerance; so that fewer segments are reached than were challenged."""
    forger.change(3, loss=nudged(forger.rows[3].loss))
    forger.set_state(24, [leaf + np.float32(7) if leaf.dtype == np.float32 else leaf for leaf in forger.states[24]])
    forger.write(environment=elsewhere(forger))
    report = verify_plain(forger.root)
    assert report.verdict is Verdict.REJECTED, report.reasons


def test_a_false_state_between_checkpoints_behind_a_loss(forger: Forger, verify_plain: Verify) -> None:
    """The stretch ends bit for bit and doesn't pass through a state of the ledger, as without the nudge before it."""
    forger.change(7, loss=nudged(forger.rows[7].loss))
    forger.change(9, state=bytes(32))
    forger.write(environment=elsewhere(forger))
    undecided(verify_plain(forger.root), "is reproduced bit for bit, but the state after step 9 is not")


# --- noise that several steps have grown -------------------------------------------------------------------------


def chaotic() -> Task:
    """A logistic map beside running statistics of raw inputs, whose updates are larger by far."""

    def init(key: Key) -> PyTree:
        return {"w": jax.random.uniform(key, (64,)), "variance": jnp.ones(tiny.FEATURES)}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, dict[str, jax.Array]]:
        x = batch["x"]
        w = (state["w"] + jnp.mean(jnp.tanh(x @ state["w"].reshape(tiny.FEATURES, -1)))) % 1
        w = 3.98 * w * (1 - w)
        return {"w": w, "variance": 0.9 * state["variance"] + 1e6 * jnp.mean(x * x, 0)}, {"loss": jnp.mean(x @ x.T)}

    return Task("chaotic", init, step, Arrays(tiny.points()), tiny.BATCH, 80, 40)


def test_a_chaotic_leaf_beside_a_large_one_is_not_passed(tmp_path: Path) -> None:
    """Whatever is no farther from the state before than two of the verifier's own results are from each other."""
    train(chaotic(), tmp_path / "proof", choices=Choices(seed="review"))
    forger = Forger(tmp_path / "proof")
    at = [leaf.path for leaf in forger.commitment.state].index("/w")
    forger.set_state(80, with_leaf(forger.states[80], at, forger.states[40][at]))
    forger.write(environment=elsewhere(forger))
    report = verify(forger.root, chaotic().source, policy=AllSegments(), nonce=b"n")
    undecided(report, "leaf /w: error")


def test_a_false_initial_state_of_a_directory_elsewhere(forger: Forger, verify_plain: Verify) -> None:
    """True steps from trained weights: only the initial state is not what the program gives."""
    forger.train_on(tiny.plain().source, 0, 24, forger.states[24])
    forger.write(environment=elsewhere(forger))
    refused(verify_plain(forger.root), 7)
