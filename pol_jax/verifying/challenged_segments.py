"""Stage 9 for a proof: the challenged segments are replayed, and compared as numbers where bits cannot decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pol_jax.judging.coverage import confirmed_spans, covered_segments
from pol_jax.judging.replay_result import ReplayResult, replay_of
from pol_jax.judging.verdict import Evidence, Judgement, describe_comparison, judge_bits, judge_numbers
from pol_jax.progress import Progress
from pol_jax.protocol.policies import Policy
from pol_jax.protocol.spans import Route, Segments, Span, routes_between_checkpoints
from pol_jax.reports.comparison import Compared
from pol_jax.reports.coverage import Coverage, Replay
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.verifying.backend_differences import BackendDifferences, Differences, deciding_replay, differences_where
from pol_jax.verifying.proof_material import ProofMaterial
from pol_jax.verifying.replay import Replayer

SELF_TEST_STEPS = 10
"""This many first steps show whether this backend can judge exactly (section 13, self-test)."""


@dataclass(frozen=True)
class SegmentsResult:
    """A result of stage 9 says what the replays and comparisons of a proof gave.

    Attributes:
        judgement: on the challenged segments and on the initial state.
        coverage: of what was replayed and compared.
        self_test: the replay of the first steps.
        replays: of the challenged segments that a replay reached.
        compared: what was compared within a tolerance, where bits could not decide.
        confirmed: the runs of steps that were confirmed, bit for bit or within the tolerance.
    """

    judgement: Judgement
    coverage: Coverage
    self_test: Replay | None
    replays: tuple[Replay, ...]
    compared: tuple[Compared, ...]
    confirmed: Sequence[Span]


def self_test_of(segments: Segments) -> Span:
    """Return the first steps, within the first segment."""
    return Span(0, min(SELF_TEST_STEPS, segments.span(0).stop))


def check_segments(
    material: ProofMaterial,
    replayer: Replayer,
    policy: Policy,
    routes: Sequence[Route],
    checkpoints: Sequence[int],
    differences: BackendDifferences,
    progress: Progress,
) -> SegmentsResult:
    """Replay the challenged segments, and compare as numbers what bits cannot decide (section 13.1).

    A program in exact arithmetic is judged by bits alone.

    Args:
        material: of the proof.
        replayer: of the proof.
        policy: the verifier's.
        routes: to the challenged segments.
        checkpoints: the steps whose checkpoints are there, ascending.
        differences: tells why other bits here would say nothing about the proof.
        progress: told of comparisons.

    Raises:
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
        ProofError: a file changed since it was checked.
    """
    segments = material.checked.proof.segments
    exact_arithmetic = material.commitment.arithmetic is not None
    evidence, results, routes = replay_segments(
        replayer, routes, segments, differences, exact_arithmetic=exact_arithmetic
    )
    targets = [target for route in routes for target in route.targets]
    judgement, coverage = judge_bits(evidence), covered_segments(policy, routes, results, segments)
    # Where the self-test failed in another environment, only the first of the targets were replayed, or none.
    by_segment = {segments.of_step(a.stop): b for a, b in zip(targets, evidence.segments, strict=False)}
    replays = tuple(replay_of(segment, by_segment[segment]) for segment in coverage.replayed)
    compared: tuple[Compared, ...] = ()
    # Numbers are asked only where bits are undecided: a rejection by bits is never softened by a tolerance.
    if judgement.verdict is Verdict.INCONCLUSIVE and not exact_arithmetic:
        # Segments that are equal bit for bit are not compared as numbers; those that no replay reached are.
        exact = {replay.segment for replay in replays if replay.mismatch is None}
        # What is equal bit for bit needs no tolerance, and gets none.
        differing = sorted(target for target in targets if segments.of_step(target.stop) not in exact)
        between = routes_between_checkpoints(differing, checkpoints)
        reproduced = sorted(target for target in targets if segments.of_step(target.stop) in exact)
        equal = reproduced_spans(reproduced, checkpoints)
        found = _compare(material, between, equal, evidence, replayer, progress)
        compared = tuple(map(differences.left_open, found))
        coverage = covered_segments(policy, routes, results, segments, compared)
        judgement = judge_numbers(judgement, compared, len(exact), "segment")
    self_test = replay_of(0, evidence.self_test) if evidence.self_test else None
    confirmed = confirmed_spans(routes, results, compared)
    return SegmentsResult(judgement, coverage, self_test, replays, compared, confirmed)


def replay_segments(
    replayer: Replayer,
    routes: Sequence[Route],
    segments: Segments,
    differences: Differences,
    *,
    exact_arithmetic: bool,
) -> tuple[Evidence, list[ReplayResult], Sequence[Route]]:
    """Replay the self-test and the challenged segments. The replay that decides is run a second time, if one differs.

    A second run shows whether this backend repeats itself: one that doesn't can't call a difference the prover's.

    Returns:
        What that shows, results, and the routes: the results are those of the first of them. If the self-test differs
        in another environment, bits decide nothing here of what was made there, and numbers are compared. What the
        claim says was made on this very machine is replayed all the same, and comes first.
    """
    initial_exact = replayer.initial_is_exact()
    self_test = self_test_of(segments)
    # The self-test comes before the challenged segments: where it fails on another backend, hours of replay are saved.
    first = replayer.self_test(self_test)
    # On another backend honest steps differ too: replaying every segment would cost hours and decide nothing.
    bits_decide = first.exact or not differences([self_test])
    replayed = routes if bits_decide else [route for route in routes if not differences([route.span])]
    others = [route for route in routes if route not in replayed]
    results = list(replayer.replay(route.span for route in replayed))
    differing = deciding_replay(differences, (first, *results))
    # Reason 1 of section 13.1: only a backend that gets the same wrong row twice can reject.
    repeated = list(replayer.replay(result.span for result in differing))
    by_target = [
        result.for_target(target) for route, result in zip(replayed, results, strict=True) for target in route.targets
    ]
    found = differences_where(differences, initial_exact, (first, *results))
    evidence = Evidence(found, initial_exact, first, by_target, repeated == differing, exact_arithmetic)
    return evidence, results, [*replayed, *others]


def _compare(
    material: ProofMaterial,
    routes: Sequence[Route],
    equal: Sequence[Span],
    evidence: Evidence,
    replayer: Replayer,
    progress: Progress,
) -> tuple[Compared, ...]:
    """Compare the initial state and the steps between checkpoints; if all pass, those with equal bits too."""
    # Equal bits need no comparison; other bits of an initial state are a step from zeros (section 14.1).
    initial = [] if evidence.initial_exact else [replayer.compare_initial(material)]
    segments, spans = material.checked.proof.segments, [route.span for route in routes]
    found = list(replayer.compare_spans(material, spans, progress, equal))
    compared = [
        msgspec.structs.replace(each, segments=tuple(segments.of_step(target.stop) for target in route.targets))
        for route, each in zip(routes, found, strict=False)
    ]
    return (*initial, *require_states_on_the_way(replayer, compared), *found[len(compared) :])


def reproduced_spans(targets: Sequence[Span], checkpoints: Sequence[int]) -> list[Span]:
    """Return what was replayed to reproduce the targets: from the checkpoint before each to its end.

    Where no checkpoint follows at once, the rest of the way to the next one was not replayed, and may be false.
    """
    routes = routes_between_checkpoints(targets, checkpoints)
    return [Span(route.span.start, route.targets[-1].stop) for route in routes]


def steered_steps(
    material: ProofMaterial,
    replayer: Replayer,
    routes: Sequence[Route],
    checkpoints: Sequence[int],
    progress: Progress,
) -> list[str]:
    """Return why steps with equal bits show nothing, where last places before them decide; one line each.

    An earlier run that was accepted within a tolerance may end in last places that its prover chose.
    """
    spans = reproduced_spans([target for route in routes for target in route.targets], checkpoints)
    found = replayer.compare_spans(material, [], progress, spans)
    return [describe_comparison(each, "segment") for each in found if not each.passed]


def require_states_on_the_way(replayer: Replayer, compared: Sequence[Compared]) -> list[Compared]:
    """Leave open what ends bit for bit without passing through the ledger's states on the way (section 13.1).

    Rounding does not come and go like that, so it does not pass. It is not refused either: a prover's backend may
    differ in something that the next step forgets.

    Raises:
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
    """
    checked = []
    for each in compared:
        if ends_bit_for_bit(each):
            result = replayer.replay_states(each.span)
            # Rounding that differs on the way and agrees bit for bit at the end would be a coincidence of all leaves.
            if not result.exact:
                reason = f"its last state is reproduced bit for bit, but the state after step {result.mismatch} is not"
                each = msgspec.structs.replace(each, outcome=Outcome.INCONCLUSIVE, reasons=(reason,))
        checked.append(each)
    return checked


def ends_bit_for_bit(compared: Compared) -> bool:
    """Return whether steps passed because their last state has the bits that this machine gives."""
    return compared.passed and compared.error == 0 and not compared.is_initial
