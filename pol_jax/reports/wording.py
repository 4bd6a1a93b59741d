"""What a report says in words: the same in its reasons, in the terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pol_jax.errors import printable
from pol_jax.protocol.challenge import (
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
from pol_jax.reports.report import Ancestor, Beginning, Coverage, Drift, KolmogorovSmirnov, Provenance, Replay


def notices(provenance: Provenance | None, ancestors: Sequence[Ancestor]) -> tuple[str, ...]:
    """What of an initial state, or of one that it comes from, no verification has shown; one line each."""
    verified, lines = {each.claim for each in ancestors}, list[str]()
    for whose, each in (
        ("training", provenance),
        *((f"the run of {_short(a.claim)}", a.provenance) for a in ancestors),
    ):
        if each is None:
            continue
        if each.beginning is Beginning.UNPROVEN_WEIGHTS:
            lines.append(
                f"{whose} starts from weights of unproven origin: {_paths(each.taken)}; {each.values} values with the "
                f"digest {each.digest}"
            )
        elif each.claim is not None and each.claim not in verified:
            lines.append(f"{whose} starts from the run with the claim {each.claim}, which was not verified here")
    return tuple(lines)


def describe_provenance(provenance: Provenance) -> str:
    """Where an initial state comes from."""
    if provenance.beginning is Beginning.OWN_KEY:
        return "from its own key"
    several = f"{len(provenance.taken)} of {provenance.leaves} leaves ({provenance.values} values)"
    if provenance.beginning is Beginning.UNPROVEN_WEIGHTS:
        return f"{several} of unproven origin; the rest from its own key"
    return f"{several} from the final state of {_short(provenance.claim or '')}; the rest from its own key"


def describe_ancestor(ancestor: Ancestor) -> str:
    """What the verification of an earlier proof came to."""
    task = "" if ancestor.task is None else f" of {printable(ancestor.task)}"
    if ancestor.coverage is None:
        return f"earlier proof{task}, {_short(ancestor.claim)}: {ancestor.verdict}"
    covered = describe_coverage(ancestor.coverage, ancestor.policy)
    return f"earlier proof{task}, {_short(ancestor.claim)}: {ancestor.verdict}; {covered}"


def describe_test(test: KolmogorovSmirnov) -> str:
    """What a statistical test of an initial state found."""
    return f"Kolmogorov-Smirnov: smallest p {test.smallest_p:.2g}, corrected for {test.leaves} random leaves"


def describe_coverage(coverage: Coverage, policy: Policy | StepPolicy) -> str:
    """What was replayed, and what that would have found."""
    segments = f"{len(coverage.replayed)} of {coverage.segments} segments, " if coverage.unit == "segment" else ""
    replayed = f"replayed {segments}{coverage.steps_replayed} of {coverage.steps} steps"
    if not coverage.replayed:
        return replayed
    if not coverage.detection and isinstance(policy, TopSegments):
        return f"{replayed}; the prover foresees the largest updates: it meets another false one with probability 0"
    if not coverage.detection:
        return f"{replayed}; they were chosen by name, which says nothing of the others"
    those = "the random ones" if isinstance(policy, JointSegments) else "it"
    met = f"{those} would have met one with probability {coverage.detection:.4f}"
    return f"{replayed}; if {coverage.fraction:.0%} were false, {met}"


def describe_replay(replay: Replay) -> str:
    """What came of a replay."""
    if replay.mismatch is None:
        return f"{describe_steps(replay.start, replay.stop)}: bit for bit"
    return describe_mismatch(replay.start, replay.stop, replay.mismatch, replay.fields)


def describe_mismatch(start: int, stop: int, mismatch: int, fields: Sequence[str]) -> str:
    """Where a replay of some steps broke, and in which columns of the ledger."""
    differs = f"step {mismatch} comes out otherwise ({', '.join(fields)})"
    return f"{describe_steps(start, stop)}: {differs}" if stop > start + 1 else differs


def describe_steps(start: int, stop: int) -> str:
    """The steps from one state to another; those to the initial state, which begin with -1, are none."""
    if start < 0:
        return "the initial state"
    return f"steps {start + 1} to {stop}" if stop > start + 1 else f"step {stop}"


def describe_distance(distance: float | None) -> str:
    """A distance, as reasons have it; 0 is exact."""
    if distance is None:
        return "not finite"
    return f"{distance:.1e}" if distance else "0"


def describe_drift(drift: Drift) -> list[str]:
    """What a verification leaves room for: one line each."""
    lines = list[str]()
    if drift.distance is not None:
        lines.append(f"from the first state to the last it is {drift.distance:.2g}")
    if drift.unchecked is not None:
        sure = "" if drift.confidence is None else f", at {100 * drift.confidence:.6g}% confidence"
        lines.append(f"false updates that were not checked add up to at most {_of(drift.unchecked, drift)}{sure}")
    if drift.tolerated:
        lines.append(f"what tolerances allow adds up to at most {_of(drift.tolerated, drift)}")
    elif drift.tolerated == 0:
        lines.append("tolerances allow nothing: all that was replayed came out bit for bit")
    if drift.infinitesimal:
        lines.append(f"{drift.infinitesimal} of {drift.updates} updates are infinitesimal")
    return lines


def _of(distance: float, drift: Drift) -> str:
    """A distance, and what share it is of those that are known."""
    scales = (("of that", drift.distance), ("of d_ref", drift.d_ref))
    shares = [f"{_percent(distance / scale)} {name}" for name, scale in scales if scale]
    return f"{distance:.2g}" + (f" ({', '.join(shares)})" if shares else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 1 else f"{100 * share:.2g}%"


def describe_policy(policy: Policy | StepPolicy) -> str:
    """Which segments a policy chooses."""
    match policy:
        case AllSegments():
            return "every segment"
        case ListedSegments():
            return "segments chosen by name"
        case RandomSegments():
            return f"random segments: {_sure(policy)}"
        case ListedSteps():
            return "steps chosen by name"
        case RandomSteps():
            return f"random steps: {_sure(policy)}"
        case TopSegments():
            return _largest(policy)
        case JointSegments():
            return f"{_largest(policy)}, and random segments: {_sure(policy)}"


def options(policy: Policy | StepPolicy) -> str:
    """The options of ``pol verify`` that ask for a policy."""
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


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in order, as ``--segments`` takes them: 0, 3, 7, 8, 9 are ``0,3,7-9``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _sure(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    confidence, fraction = (f"{100 * share:.6g}%" for share in (policy.confidence, policy.fraction))
    return f"{confidence} sure to meet a false one if {fraction} are false"


def _largest(policy: TopSegments | JointSegments) -> str:
    updates = "largest update" if policy.q == 1 else f"{policy.q} largest updates"
    return f"the {updates} of each epoch, by {policy.metric}"


def _chance(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    """Every digit: the draw depends on them."""
    return f"--confidence {policy.confidence!r} --fraction {policy.fraction!r}"


def _paths(paths: Sequence[str]) -> str:
    """A few of them; they are the prover's words."""
    few = ", ".join(printable(path or "/", 60) for path in paths[:4])
    return few if len(paths) <= 4 else f"{few} and {len(paths) - 4} more leaves"


def _short(claim: str) -> str:
    return f"claim {claim[:16]}…"
