"""A verification covers some segments, and its draw meets a false one with some probability (section 13.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pol_jax.judging.replay_result import ReplayResult
from pol_jax.protocol.challenge import by_chance
from pol_jax.protocol.policies import JointSegments, Policy, RandomSegments, RandomSteps, StepPolicy
from pol_jax.protocol.sampling import detection_probability, false_segments
from pol_jax.protocol.spans import Route, Segments, Span
from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.outcomes import Outcome


def covered_segments(
    policy: Policy,
    routes: Sequence[Route],
    results: Sequence[ReplayResult],
    segments: Segments,
    compared: Sequence[Compared] = (),
) -> Coverage:
    """Return what was covered of a proof.

    Segments on the way to a challenged one count as steps only: the draw did not choose them, so they add nothing to
    the probability of meeting a false segment.

    Args:
        policy: the verifier's.
        routes: to all challenged segments.
        results: of the first of ``routes``; a segment that no replay reached is not covered.
        segments: of the proof.
        compared: what was compared as numbers, where bits could not decide.
    """
    # A policy without a draw names no fraction; the default one makes reports comparable, and its probability is 0.
    fraction = policy.fraction if isinstance(policy, RandomSegments | JointSegments) else RandomSegments().fraction
    # Where numbers were asked for, the step that differs is not decided by bits: only those before it count.
    replayed = {
        route: Span(route.span.start, result.last - bool(compared and not result.exact))
        for route, result in zip(routes, results, strict=False)
    }
    decided = [each for each in compared if each.outcome is not Outcome.INCONCLUSIVE and not each.is_initial]
    by_numbers = {segment for each in decided for segment in each.segments}
    reached = []
    for route in routes:
        for target in route.targets:
            segment = segments.of_step(target.stop)
            # By bits alone, a segment is covered once its first step was replayed: a difference there is a verdict.
            needed = target.stop if compared else target.start + 1
            if segment in by_numbers or (route in replayed and replayed[route].stop >= needed):
                reached.append(segment)
    return Coverage(
        unit="segment",
        segments=len(segments),
        replayed=tuple(reached),
        steps=segments.steps,
        steps_replayed=_count_steps([*(each.span for each in decided), *replayed.values()]),
        fraction=fraction,
        detection=_detection(policy, len(segments), len(reached), fraction),
    )


def covered_steps(
    policy: StepPolicy, challenged: Sequence[Span], results: Sequence[ReplayResult], steps: int
) -> Coverage:
    """Return what was covered of an opening.

    Args:
        policy: the verifier's.
        challenged: the spans of the challenged steps.
        results: of the first of ``challenged``.
        steps: T.
    """
    fraction = policy.fraction if isinstance(policy, RandomSteps) else RandomSteps().fraction
    pairs = zip(challenged, results, strict=False)
    # The step that differs was replayed too.
    reached = [step for span, result in pairs for step in span.steps if step <= result.last]
    return Coverage(
        unit="step",
        segments=steps,
        replayed=tuple(reached),
        steps=steps,
        steps_replayed=len(reached),
        fraction=fraction,
        detection=_detection(policy, steps, len(results), fraction),
    )


def confirmed_spans(
    routes: Sequence[Route], results: Sequence[ReplayResult], compared: Sequence[Compared]
) -> list[Span]:
    """Return the runs of steps that were confirmed: replayed bit for bit, or within the tolerance."""
    pairs = zip(routes, results, strict=False)
    exact = [Span(route.span.start, result.last - (not result.exact)) for route, result in pairs]
    return [*exact, *(each.span for each in compared if each.passed and not each.is_initial)]


def _detection(policy: Policy | StepPolicy, units: int, covered: int, fraction: float) -> float:
    """Return the probability that a draw of this many meets a false one; only what chance chose counts for it."""
    chosen = by_chance(policy, units, covered)
    return detection_probability(units, false_segments(units, fraction), chosen) if chosen else 0.0


def _count_steps(spans: Iterable[Span]) -> int:
    """Return how many steps lie in at least one of these spans."""
    count, counted_to = 0, 0
    for span in sorted(spans):
        count += max(0, span.stop - max(span.start, counted_to))
        counted_to = max(counted_to, span.stop)
    return count
