"""Numbers of records, steps and batches that fit nothing: whatever a run's shape, it is reproduced bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from unsandboxed import verify

import pol_jax
from pol_jax.protocol.policies import AllSegments

SHAPES: dict[str, tuple[int, int, int, int]] = {
    "one record, several times in a batch": (1, 4, 5, 2),
    "one record, one in a batch": (1, 1, 5, 2),
    "a batch larger than the data set": (5, 37, 3, 2),
    "an epoch that ends within a batch": (47, 10, 12, 4),
    "one step": (40, 4, 1, 7),
    "an interval longer than the run": (40, 4, 5, 1000),
    "a last segment that is shorter": (40, 4, 11, 5),
}
"""Records, batch size, steps, interval."""


@pytest.mark.parametrize("what", SHAPES)
def test_a_run_of_any_shape(what: str, tmp_path: Path) -> None:
    records, batch, steps, interval = SHAPES[what]
    source = pol_jax.Arrays(tiny.points(records))
    task = replace(tiny.linen(), source=source, batch_size=batch, steps=steps, interval=interval)
    proof = pol_jax.train(task, tmp_path / "proof")
    assert proof.checkpoints() == [*range(0, steps, interval), steps]
    report = verify(tmp_path / "proof", source, policy=AllSegments(), nonce=b"n" * 16)
    assert report.mode == "bits", report.reasons
