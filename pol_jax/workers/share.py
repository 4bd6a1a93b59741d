"""A challenge is chosen as sharp as a share of the cost of training allows."""

from __future__ import annotations

from pol_jax.errors import UsageError
from pol_jax.protocol.policies import RandomSteps
from pol_jax.protocol.sampling import detection_probability, false_segments, segments_needed

_ALMOST = 1 - 1e-9


def steps_within(share: int | float, steps: int, fraction: float = 0.05) -> RandomSteps:
    """Return the random challenge that is the most likely to meet a false step, within a share of all steps.

    Args:
        share: of the worker's steps that the coordinator replays at most, the first and the last one included.
        steps: of the worker.
        fraction: the share of false steps that the confidence is about.

    Raises:
        UsageError: the share has no room for the first, the last and one random step.
    """
    # The first and the last step are in every challenge of random steps (section 12.3).
    drawn = min(int(share * steps) - 2, steps)
    if drawn < 1:
        raise UsageError(
            f"share {share:g} of {steps} steps: expected at least 3 steps, the first, the last and a random one"
        )
    confidence = min(detection_probability(steps, false_segments(steps, fraction), drawn), _ALMOST)
    while segments_needed(steps, confidence, fraction) > drawn:  # a rounding error could ask for one step more
        confidence *= _ALMOST
    return RandomSteps(confidence, fraction)
