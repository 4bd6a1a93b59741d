"""These functions put facts of a report into words, the same in its reasons, in the terminal and on a page.

Each line is a statement that can be understood by itself: reports are quoted in part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

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
from pol_jax.protocol.claim import Intervention
from pol_jax.reports.report import (
    Ancestor,
    Beginning,
    Compared,
    Coverage,
    Drift,
    KolmogorovSmirnov,
    Mode,
    NonFinite,
    Origin,
    Provenance,
    Replay,
    Report,
    Verdict,
)


def describe_verdict(report: Report) -> str:
    """Return the verdict; an acceptance says whether it is one of bits, or else how much its tolerances allow."""
    if report.mode is None:
        return str(report.verdict)
    if report.mode is Mode.BITS:
        return f"{report.verdict}, bit for bit"
    return f"{report.verdict} within a tolerance ({', '.join(_allowances(report))})"


def _allowances(report: Report) -> list[str]:
    """Return what tolerances allow for one step, and over all of a run and of those that it comes from."""
    parts, steps = list[str](), [each for each in report.compared if each.passed and not each.is_initial]
    if steps:
        what = "step" if all(each.stop == each.start + 1 for each in steps) else "run of steps"
        parts.append(
            f"every {what} within {_percent(max(each.relative(each.allowed) for each in steps))} of its update"
        )
    else:
        parts.append("all replayed steps bit for bit")
    before = sum(each.tolerated for each in report.ancestors)
    own, whole = (report.drift.tolerated, report.drift.distance) if report.drift else (None, None)
    if own is not None and whole:
        earlier = ", earlier runs included" if before else ""
        parts.append(f"{_percent((own + before) / whole)} of the distance in total{earlier}")
    return parts


def notices(report: Report) -> tuple[str, ...]:
    """Return what comes before the reasons for a verdict: what nobody has shown, or only within a tolerance."""
    early = report.verdict is Verdict.ACCEPTED and report.may_stop_early is True
    unknown = report.verdict is Verdict.ACCEPTED and report.program_origin is Origin.NOT_COMPARED
    return (
        *_not_finite(report.non_finite),
        *map(_intervened, report.interventions),
        *_tolerant(report.ancestors),
        *_unproven(report.provenance, report.ancestors),
        *(["program: not compared with any source"] if unknown else []),
        *(["the prover chose where the run ends: it was committed to a largest number of steps only"] * early),
    )


def _intervened(intervention: Intervention) -> str:
    """Return a warning of a change of the state that no program made."""
    paths = ", ".join(printable(path or "/", 60) for path in intervention.leaves[:4])
    more = f" and {len(intervention.leaves) - 4} more" if len(intervention.leaves) > 4 else ""
    return (
        f"after step {intervention.after} the state was changed from outside the program ({paths}{more}), and nothing"
        f" shows where the new values come from; the prover's reason: {printable(intervention.reason, 256)}"
    )


def _not_finite(leaves: Sequence[NonFinite]) -> list[str]:
    """Return a warning of a final state that holds NaNs or infinities."""
    if not leaves:
        return []
    values, few = sum(each.values for each in leaves), leaves[:4]
    listed = ", ".join(f"{printable(each.path or '/', 60)}: {each.values} of {each.size}" for each in few)
    more = f", and {len(leaves) - len(few)} more leaves" if len(leaves) > len(few) else ""
    return [f"warning: the final state is not finite: {values} values are NaN or infinite ({listed}{more})"]


def _tolerant(ancestors: Sequence[Ancestor]) -> list[str]:
    """Return the earlier proofs that were accepted within a tolerance, one line each."""
    return [
        f"the initial state comes from the run of {_short(each.claim)}, which was accepted within a tolerance: errors "
        f"that it allows could add up to {_led(each)}"
        for each in ancestors
        if each.mode is Mode.TOLERANCE
    ]


def _led(ancestor: Ancestor) -> str:
    """Return how far tolerances could have led an earlier run astray."""
    if ancestor.drift is None or not math.isfinite(ancestor.tolerated):
        return "any distance"
    return _shares(ancestor.tolerated, ancestor.drift) if ancestor.tolerated else "no more than those before it"


def _unproven(provenance: Provenance | None, ancestors: Sequence[Ancestor]) -> list[str]:
    """Return what no verification has shown about the initial state, or about one that it comes from; one line each."""
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
    return lines


def describe_provenance(provenance: Provenance) -> str:
    """Return where an initial state comes from."""
    if provenance.beginning is Beginning.OWN_KEY:
        return "all leaves come from the run's own key"
    several = f"{len(provenance.taken)} of {provenance.leaves} leaves ({provenance.values} values)"
    if provenance.beginning is Beginning.UNPROVEN_WEIGHTS:
        return f"{several} are of unproven origin; all others come from the run's own key"
    return f"{several} come from the final state of {_short(provenance.claim or '')}; all others from the run's own key"


def describe_ancestor(ancestor: Ancestor) -> str:
    """Return the verdict on an earlier proof, and how much of it was checked."""
    task = "" if ancestor.task is None else f" of {printable(ancestor.task)}"
    verdict = ancestor.verdict + _HOW[ancestor.mode]
    if ancestor.coverage is None:
        return f"earlier proof{task}, {_short(ancestor.claim)}: {verdict}"
    covered = describe_coverage(ancestor.coverage, ancestor.policy)
    return f"earlier proof{task}, {_short(ancestor.claim)}: {verdict}; {covered}"


def describe_test(test: KolmogorovSmirnov) -> str:
    """Return what a statistical test of an initial state found."""
    smallest = f"smallest corrected p-value {test.smallest_p:.2g}"
    return f"Kolmogorov-Smirnov test of the random leaves ({test.leaves}): {smallest}"


def describe_coverage(coverage: Coverage, policy: Policy | StepPolicy) -> str:
    """Return how much was replayed, and with which probability that would have met a false segment or step."""
    steps = f"{coverage.steps_replayed} of {coverage.steps} steps"
    by_segment = f"{len(coverage.replayed)} of {coverage.segments} segments ({steps})"
    replayed = f"replayed {by_segment if coverage.unit == 'segment' else steps}"
    if not coverage.replayed:
        return replayed
    if not coverage.detection and isinstance(policy, TopSegments):
        return f"{replayed}; the prover can foresee the largest updates, so this says nothing about the other segments"
    if not coverage.detection:
        return f"{replayed}; they were chosen by number, so this says nothing about the other {coverage.unit}s"
    drawn = f"the random {coverage.unit}s would" if isinstance(policy, JointSegments) else "this draw would"
    share = f"{coverage.fraction:.0%} of all {coverage.unit}s"
    return f"{replayed}; if {share} were false, {drawn} have met one of them with probability {coverage.detection:.4f}"


def describe_replay(replay: Replay) -> str:
    """Return whether a replay gave what the ledger says."""
    if replay.mismatch is None:
        return f"{describe_steps(replay.start, replay.stop)}: the replay equals the ledger, bit for bit"
    return describe_mismatch(replay.start, replay.stop, replay.mismatch, replay.fields)


def describe_mismatch(start: int, stop: int, mismatch: int, fields: Sequence[str]) -> str:
    """Return the first step at which a replay differs from the ledger, and in which of its columns."""
    differs = f"the replay of step {mismatch} differs from the ledger ({', '.join(fields)})"
    return f"{describe_steps(start, stop)}: {differs}" if stop > start + 1 else differs


def describe_steps(start: int, stop: int) -> str:
    """Return the steps that lead from the state after ``start`` to that after ``stop``.

    No step leads to the initial state, for which ``start`` is -1.
    """
    if start < 0:
        return "the initial state"
    return f"steps {start + 1} to {stop}" if stop > start + 1 else f"step {stop}"


def describe_distance(distance: float | None) -> str:
    """Return a distance as text. It is "0" only if the distance is exactly 0."""
    if distance is None:
        return "not finite"
    return f"{distance:.1e}" if distance else "0"


def describe_drift(report: Report) -> list[str]:
    """Return how much could still be false after a verification, in one line for each fact."""
    drift, lines = report.drift, list[str]()
    if drift is None:
        return lines
    if report.non_finite:
        over = "" if drift.distance is None else f"; over the values that are finite in both it is {drift.distance:.2g}"
        lines.append(f"the distance from the initial to the final state is not finite{over}")
    elif drift.distance is not None:
        lines.append(f"the distance from the initial to the final state is {drift.distance:.2g}")
    if drift.unchecked is not None:
        sure = "" if drift.confidence is None else f", with {100 * drift.confidence:.6g}% confidence"
        most = f"at most {_shares(drift.unchecked, drift)}{sure}"
        lines.append(f"false updates among those that were not checked could add up to {most}")
    if drift.tolerated:
        lines.append(f"errors that the tolerances allow could add up to at most {_shares(drift.tolerated, drift)}")
        lines += _decisions(report.compared)
    elif _is_exact(report):
        lines.append("no tolerance was needed: everything that was replayed is the same bit for bit")
    if drift.infinitesimal:
        lines.append(f"{drift.infinitesimal} of {drift.updates} updates are far smaller than the median update")
    return lines


def _decisions(compared: Sequence[Compared]) -> list[str]:
    """Return what was taken of the prover's decisions in steps that would not have passed without."""
    used = [each.decisions for each in compared if each.decisions is not None]
    if not used:
        return []
    share = max(each.relative(each.decisions.choices) for each in compared if each.decisions is not None)
    taken, given = sum(each.used for each in used), sum(each.given for each in used)
    return [
        f"{len(used)} of these comparisons pass with the prover's decisions near ties: {taken} of {given} were taken; "
        f"wrong ones could have moved at most {_percent(share)} of an update, which the tolerances include"
    ]


def _is_exact(report: Report) -> bool:
    """Return whether something was replayed, and everything that was is the same bit for bit."""
    replays = [*report.replays, *([report.self_test] if report.self_test else [])]
    return bool(report.replays) and not report.compared and all(each.mismatch is None for each in replays)


_HOW: Final = {None: "", Mode.BITS: ", bit for bit", Mode.TOLERANCE: " within a tolerance"}


def _shares(distance: float, drift: Drift) -> str:
    """Return a distance, and its share of the distances that the verifier knows."""
    scales = (("of the distance from the initial to the final state", drift.distance), ("of d_ref", drift.d_ref))
    shares = [f"{_percent(distance / scale)} {name}" for name, scale in scales if scale]
    return f"{distance:.2g}" + (f" ({', '.join(shares)})" if shares else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 1 else f"{100 * share:.2g}%"


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


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as ``--segments`` reads them: 0, 3, 7, 8, 9 are ``0,3,7-9``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _sure(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    confidence, fraction = (f"{100 * share:.6g}%" for share in (policy.confidence, policy.fraction))
    return f"enough to meet a false one with {confidence} probability if {fraction} of all are false"


def _largest(policy: TopSegments | JointSegments) -> str:
    updates = "largest update" if policy.q == 1 else f"{policy.q} largest updates"
    return f"the {updates} of each epoch, measured by {policy.metric}"


def _chance(policy: RandomSegments | JointSegments | RandomSteps) -> str:
    """Return the options of a random draw, with every digit: the draw depends on them."""
    return f"--confidence {policy.confidence!r} --fraction {policy.fraction!r}"


def _paths(paths: Sequence[str]) -> str:
    """Return a few of the paths, made safe to show: they are the prover's words."""
    few = ", ".join(printable(path or "/", 60) for path in paths[:4])
    return few if len(paths) <= 4 else f"{few} and {len(paths) - 4} more leaves"


def _short(claim: str) -> str:
    return f"claim {claim[:16]}…"
