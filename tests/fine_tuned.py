"""Short runs that start from an earlier proof or from weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny

from pol_jax.proving.choices import Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.proving.train import train
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.proof import Proof, open_proof

SOURCE = tiny.plain().source


STEPS, INTERVAL = 4, 2


WEIGHTS = {"params": {"w": np.linspace(-1, 1, 48, dtype=np.float32).reshape(16, 3)}}


TAKEN = ("/params/b", "/params/w")


def tune(path: Path, source: Any, *take: str, seed: str = "child", **changes: Any) -> Proof:
    """A short run that starts from ``source``."""
    choices = Choices(interval=INTERVAL, seed=seed, start=Start(source, take or ("/params",)))
    return train(tiny.plain(), path, steps=STEPS, choices=choices, **changes)


def digest(path: Path) -> str:
    claim = open_proof(path).claim
    assert claim is not None
    return claim.digest().hex()


def leaves(path: Path, step: int) -> dict[str, np.ndarray]:
    proof = open_proof(path)
    return {leaf.path: np.asarray(x) for leaf, x in zip(proof.commitment.state, proof.leaves(step), strict=True)}


def undecided_start(report: Report, *words: str) -> None:
    assert report.verdict is Verdict.INCONCLUSIVE, report.reasons
    assert [stage.outcome for stage in report.stages[:7]] == [Outcome.PASSED] * 6 + [Outcome.INCONCLUSIVE]
    reason = next(reason for reason in report.reasons if reason.startswith("stage 7, initial state: "))
    assert all(word in reason for word in words), reason
