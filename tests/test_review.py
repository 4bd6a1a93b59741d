"""Attacks on verdicts within a tolerance: what hides behind a segment that was not reached, a loss, or another leaf."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny
from forge import Forger

from pol_jax.commit import Choices
from pol_jax.prover import train
from pol_jax.report import Report, Verdict

Verify = Callable[..., Report]


@pytest.fixture(scope="module")
def thinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 segments of two steps; checkpoints 0, 6, 12, 18, 24."""
    path = tmp_path_factory.mktemp("thinned") / "proof"
    train(tiny.plain(), path, steps=24, keep_every=3, choices=Choices(interval=2, seed="review"))
    return path


def elsewhere(forger: Forger) -> msgspec.Struct:
    """What a prover may say to have bits compared within a tolerance."""
    return msgspec.structs.replace(forger.claim.environment, cpu="an abacus")


def nudged(loss: bytes | None) -> bytes:
    """Off by one unit in the last place."""
    return np.nextafter(np.frombuffer(loss or b"", "<f4"), np.float32(np.inf)).tobytes()


def test_a_false_segment_behind_one_that_was_not_reached(thinned: Path, tmp_path: Path, verify_plain: Verify) -> None:
    """Row 3 ends a replay early, within the tolerance; so the segments reached are fewer than those challenged."""
    forger = Forger(Path(shutil.copytree(thinned, tmp_path / "proof")))
    forger.change(3, loss=nudged(forger.rows[3].loss))
    weights = [leaf if leaf.dtype != np.float32 else leaf + np.float32(7) for leaf in forger.states[24]]
    forger.set_state(24, weights)
    forger.write(environment=elsewhere(forger))
    report = verify_plain(forger.root)
    assert report.verdict is Verdict.REJECTED, report.reasons
