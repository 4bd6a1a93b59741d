"""These functions write a policy in words, and as the options that ask for it again."""

from __future__ import annotations

from pol_jax.protocol.policies import (
    AllSegments,
    JointSegments,
    ListedSegments,
    ListedSteps,
    Policy,
    RandomSegments,
    RandomSteps,
    StepPolicy,
    TopSegments,
)
from pol_jax.reports.wording.quantities import ranges, whole_percent


def describe_policy(policy: Policy | StepPolicy) -> str:
    """Return which segments or steps a policy chooses."""
    match policy:
        case AllSegments():
            return "every segment"
        case ListedSegments():
            return "segments chosen by number"
        case RandomSegments():
            return f"random segments, {_sure(policy)}"
        case ListedSteps():
            return "steps chosen by number"
        case RandomSteps():
            return f"random steps, {_sure(policy)}"
        case TopSegments():
            return _largest(policy)
        case JointSegments():
            return f"{_largest(policy)}, and random segments, {_sure(policy)}"


def options(policy: Policy | StepPolicy) -> str:
    """Return the options of ``pol verify`` that ask for a policy."""
    match policy:
        case AllSegments():
            return "--all"
        case ListedSegments():
            return f"--segments {ranges(policy.segments)}"
        case ListedSteps():
            return f"--steps {ranges(policy.steps)}"
        case RandomSegments() | RandomSteps():
            return _chance(policy)
        case TopSegments():
            return f"--top-q {policy.q} --metric {policy.metric}"
        case JointSegments():
            return f"--top-q {policy.q} --metric {policy.metric} {_chance(policy)}"


def _sure(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    confidence, fraction = whole_percent(policy.confidence), whole_percent(policy.fraction)
    return f"enough to meet a false one with {confidence} probability if {fraction} of all are false"


def _largest(policy: TopSegments | JointSegments) -> str:
    updates = "largest update" if policy.q == 1 else f"{policy.q} largest updates"
    return f"the {updates} of each epoch, measured by {policy.metric}"


def _chance(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    """Return the options of a random draw, with every digit: the draw depends on them."""
    return f"--confidence {policy.confidence!r} --fraction {policy.fraction!r}"
