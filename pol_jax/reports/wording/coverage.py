"""These functions say in words what was replayed: how much of a proof, and with which result."""

from __future__ import annotations

from collections.abc import Sequence

from pol_jax.protocol.policies import JointSegments, Policy, StepPolicy, TopSegments
from pol_jax.protocol.spans import Span
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.wording.quantities import describe_steps


def describe_coverage(coverage: Coverage, policy: Policy | StepPolicy) -> str:
    """Return how much was replayed, and with which probability that would have met a false segment or step."""
    steps = f"{coverage.steps_replayed} of {coverage.steps} steps"
    by_segment = f"{len(coverage.replayed)} of {coverage.segments} segments ({steps})"
    replayed = f"replayed {by_segment if coverage.unit == 'segment' else steps}"
    if not coverage.replayed:
        return replayed
    # A probability of 0 has two reasons, and a reader must know which: foreseen, or chosen by number.
    if not coverage.detection and isinstance(policy, TopSegments):
        return f"{replayed}; the prover can foresee the largest updates, so this says nothing about the other segments"
    if not coverage.detection:
        return f"{replayed}; they were chosen by number, so this says nothing about the other {coverage.unit}s"
    # Of a joint policy, the largest updates don't count: the prover can foresee which they are (section 12.2).
    drawn = f"the random {coverage.unit}s would" if isinstance(policy, JointSegments) else "this draw would"
    share = f"{coverage.fraction:.0%} of all {coverage.unit}s"
    return f"{replayed}; if {share} were false, {drawn} have met one of them with probability {coverage.detection:.4f}"


def describe_replay(replay: Replay) -> str:
    """Return whether a replay gave what the ledger says."""
    if replay.mismatch is None:
        return f"{describe_steps(replay.span)}: the replay equals the ledger, bit for bit"
    return describe_mismatch(replay.span, replay.mismatch, replay.fields)


def describe_mismatch(span: Span, mismatch: int, fields: Sequence[str]) -> str:
    """Return the first step at which the replay of a span differs from the ledger, and in which of its columns."""
    differs = f"the replay of step {mismatch} differs from the ledger ({', '.join(fields)})"
    return f"{describe_steps(span)}: {differs}" if span.stop > span.start + 1 else differs
