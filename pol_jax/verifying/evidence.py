"""What the replays of a proof's directory show; and where bits say nothing, what is compared instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pol_jax.judging.coverage import came_out_of, covered
from pol_jax.judging.replayed import Replayed
from pol_jax.judging.verdict import Evidence, Judgement, judge, judge_closely
from pol_jax.progress import Progress
from pol_jax.protocol.challenge import Policy
from pol_jax.protocol.spans import Piece, Segments, Span, between_checkpoints
from pol_jax.reports.report import Compared, Coverage, Outcome, Replay, Verdict
from pol_jax.verifying.comparison import compare_initial, compare_spans
from pol_jax.verifying.proof_material import ProofMaterial
from pol_jax.verifying.replay import Replayer
from pol_jax.verifying.stages import replay_of

SELF_TEST_STEPS = 10
"""How many first steps show whether this backend can judge exactly."""


@dataclass(frozen=True)
class Findings:
    """What came of the challenged segments.

    Attributes:
        judgement: on them and on the initial state.
        coverage: of what was replayed and compared.
        self_test: the replay of the first steps.
        replays: of the challenged segments that a replay reached.
        compared: within a tolerance, where bits could say nothing.
        came_out: the runs of steps that did, in the one way or the other.
    """

    judgement: Judgement
    coverage: Coverage
    self_test: Replay | None
    replays: tuple[Replay, ...]
    compared: tuple[Compared, ...]
    came_out: Sequence[Span]


def self_test_of(segments: Segments) -> Piece:
    """The first steps, within the first segment."""
    return Piece(0, min(SELF_TEST_STEPS, segments.bounds(0)[1]))


def examine(
    material: ProofMaterial,
    replayer: Replayer,
    policy: Policy,
    pieces: Sequence[Piece],
    checkpoints: Sequence[int],
    changed: Sequence[str],
    progress: Progress,
) -> Findings:
    """Replay the challenged segments, and compare what bits can't decide.

    Args:
        material: of the proof.
        replayer: of the proof.
        policy: the verifier's.
        pieces: what leads to the challenged segments.
        checkpoints: the steps whose checkpoints are there, ascending.
        changed: in the environment, one line each.
        progress: told of comparisons.

    Raises:
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
        ProofError: a file changed since it was checked.
    """
    segments = material.checked.proof.segments
    evidence, replays = gather(replayer, pieces, segments, changed)
    judgement, coverage = judge(evidence), covered(policy, pieces, replays, segments)
    challenged = [segment for piece in pieces for segment in piece.segments]
    came = dict(zip(challenged, evidence.segments, strict=False))  # nothing, where the self-test leaves no hope
    reached = tuple(replay_of(segment, came[segment]) for segment in coverage.replayed)
    compared: tuple[Compared, ...] = ()
    if judgement.verdict is Verdict.INCONCLUSIVE:
        exact = {replay.segment for replay in reached if replay.mismatch is None}
        differing = [segment for segment in challenged if segment not in exact]
        between = between_checkpoints(differing, segments, checkpoints)
        compared = _compare(material, between, evidence, replayer, progress)
        coverage = covered(policy, pieces, replays, segments, compared)
        judgement = judge_closely(judgement, compared, len(exact), "segment")
    self_test = replay_of(0, evidence.self_test) if evidence.self_test else None
    return Findings(judgement, coverage, self_test, reached, compared, came_out_of(pieces, replays, compared))


def gather(
    replayer: Replayer, pieces: Sequence[Piece], segments: Segments, changed: Sequence[str]
) -> tuple[Evidence, list[Replayed]]:
    """Replay the self-test and the pieces with the challenged segments; the first that differs twice.

    Returns:
        What that shows, and the replays of ``pieces``.
    """
    initial = replayer.initial_is_exact()
    self_test = self_test_of(segments)
    (first,) = replayer.replay([self_test])
    hopeless = changed and not first.exact
    pieces = [] if hopeless else pieces
    replays = list(replayer.replay(pieces))
    false = [pair for pair in zip([self_test, *pieces], [first, *replays], strict=True) if not pair[1].exact][:1]
    again = list(replayer.replay(piece for piece, _ in false))
    challenged = [
        replayed.of(*segments.bounds(segment))
        for piece, replayed in zip(pieces, replays, strict=True)
        for segment in piece.segments
    ]
    repeatable = again == [replayed for _, replayed in false]
    return Evidence(changed, initial, first, challenged, repeatable), replays


def _compare(
    material: ProofMaterial, pieces: Sequence[Piece], evidence: Evidence, replayer: Replayer, progress: Progress
) -> tuple[Compared, ...]:
    """Where bits say nothing: numbers, from checkpoint to checkpoint."""
    start = [] if evidence.initial_exact else [compare_initial(material)]
    spans = [Span(piece.start, piece.stop) for piece in pieces]
    found = [
        msgspec.structs.replace(each, segments=piece.segments)
        for piece, each in zip(pieces, compare_spans(material, spans, progress), strict=True)
    ]
    return (*start, *recheck(replayer, found))


def recheck(replayer: Replayer, compared: Sequence[Compared]) -> list[Compared]:
    """Leave open what ends bit for bit and doesn't pass through the ledger's states: no rounding comes and goes so.

    A prover's backend that differs only in what the next step forgets would; so it is not refused.

    Raises:
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
    """
    return [
        _left_open(replayer, each) if each.start >= 0 and each.passed and each.error == 0 else each for each in compared
    ]


def _left_open(replayer: Replayer, compared: Compared) -> Compared:
    replayed = replayer.follow_states(Piece(compared.start, compared.stop))
    if replayed.exact:
        return compared
    reason = f"its last state comes out bit for bit, but not the one after step {replayed.mismatch}"
    return msgspec.structs.replace(compared, outcome=Outcome.INCONCLUSIVE, reasons=(reason,))
