"""The updates between checkpoints are measured for policies that replay the largest (section 12.2 of the protocol)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pol_jax.progress import Progress, Silent
from pol_jax.protocol.challenge import Stretch
from pol_jax.protocol.distances import distance
from pol_jax.protocol.policies import Metric
from pol_jax.storage.proof import Proof


def measure_stretches(
    proof: Proof, metric: Metric, progress: Progress, leaves: Sequence[int] | None = None
) -> list[Stretch]:
    """Measure all segments of a proof whose checkpoints are those of its ledger; where one is absent, several as one.

    Raises:
        ProofError: a checkpoint can't be read.
    """
    steps, segments, commitment = proof.checkpoints(), proof.segments, proof.commitment
    found = magnitudes(proof, steps, metric, progress, leaves)
    return [
        Stretch(
            segments=range(segments.of_step(start + 1), segments.of_step(stop) + 1),
            # That of the first record of the first step, where a stretch lies in several (section 12.2).
            epoch=start * commitment.schedule.batch_size // commitment.data.records,
            magnitude=magnitude,
        )
        for (start, stop), magnitude in zip(pairwise(steps), found, strict=True)
    ]


def magnitudes(
    proof: Proof,
    steps: Sequence[int],
    metric: Metric,
    progress: Progress | None = None,
    leaves: Sequence[int] | None = None,
) -> list[float]:
    """Return the distances between the states of consecutive checkpoints; two states are in memory at a time.

    Args:
        proof: whose checkpoints are read.
        steps: whose checkpoints are there, ascending.
        metric: what distance.
        progress: told of the checkpoints.
        leaves: places of those that count; None for all.

    Raises:
        ProofError: a checkpoint can't be read.
    """
    progress, found, spec = progress or Silent(), list[float](), proof.commitment.state
    progress.begin("measuring updates", len(steps) - 1)
    try:
        before = proof.checked_leaves(steps[0])
        for step in steps[1:]:
            after = proof.checked_leaves(step)
            found.append(distance(spec, before, after, metric, leaves))
            progress.at(len(found))
            before = after
    finally:
        progress.end()
    return found
