"""A shard executes a share of what a verification needs, and says what it found; it judges nothing.

It checks no more than ties its facts to the claim: every row and state that it reads is one of the claimed ledger.
Whoever merges the facts goes through all stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pol_jax.errors import ProofError
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress
from pol_jax.protocol import claim as claims
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.policies import metric_of
from pol_jax.protocol.spans import Route, Span, routes, routes_between_checkpoints
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import places_of
from pol_jax.reports.comparison import Compared
from pol_jax.storage.inventory import read_bounded
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.sources import SourceOrFinder
from pol_jax.training.task import Source
from pol_jax.verifying.backend_differences import differences_from
from pol_jax.verifying.challenged_segments import ends_bit_for_bit, self_test_of
from pol_jax.verifying.checks import Checked, check_commitment, check_ledger, check_names
from pol_jax.verifying.facts import FORMAT, Facts, Share
from pol_jax.verifying.proof_material import ProofMaterial
from pol_jax.verifying.replay import MakeReplayer, Replayer
from pol_jax.verifying.request import ProofRequest
from pol_jax.verifying.update_sizes import measure_stretches


def find_facts(
    request: ProofRequest,
    share: Share,
    source: SourceOrFinder,
    *,
    progress: Progress,
    make_replayer: MakeReplayer = Replayer,
) -> Facts:
    """Execute a share of what ``request`` asks for.

    Args:
        request: of all shards and of whoever merges their facts.
        share: of this shard.
        source: the training records, or a function that finds them.
        progress: told of the replayed steps.
        make_replayer: makes what replays.

    Raises:
        ProofError: the proof is malformed, so that there is nothing to find: a verification says more.
        DataError: the source's records are not the committed ones.
        BackendError: the program can't be executed here.
        UsageError: the policy would check nothing.
    """
    progress.stage(Stage.COMMITMENT.value)
    checked, claim = _check(Path(request.path), request, progress)
    proof = checked.proof
    checkpoints = proof.checkpoints()
    # Every n-th route: long and short ones are spread over the shards, and no shard needs to know the others.
    challenged = _challenged(checked, claim, request, checkpoints, progress)[share.number - 1 :: share.shards]
    records = source if isinstance(source, Source) else source(proof.commitment)
    replayer = make_replayer(checked, records, request.secret, progress)
    material = ProofMaterial(checked, records, CommittedRecords(checked.records, request.secret, claim.format))
    elsewhere = bool(differences_from(proof.commitment, claim, current_environment()))
    progress.stage(Stage.REPLAY.value)
    progress.begin("replaying", sum(len(route.span.steps) for route in challenged))
    try:
        # These two are the same for all shards, so that one of them executes them for all.
        initial = replayer.initial_is_exact() if share.number == 1 else None
        self_test = _replay(replayer, [self_test_of(proof.segments)]) if share.number == 1 else []
        replays = _replay(replayer, [route.span for route in challenged])
        # Only on another backend can numbers be asked for; on the own one, bits decide.
        compared = _compare(material, replayer, challenged, replays, checkpoints, progress) if elsewhere else []
        if elsewhere and initial is False:
            compared.append(replayer.compare_initial(material))
        states = [replayer.replay_states(each.span) for each in compared if ends_bit_for_bit(each)]
    finally:
        progress.end()
    return Facts(
        format=FORMAT,
        claim=claim.digest().hex(),
        policy=request.policy,
        nonce=request.nonce.hex(),
        shares=(share,),
        environment=current_environment(),
        initial_exact=initial,
        replays=(*self_test, *replays),
        states=tuple(states),
        compared=tuple(compared),
    )


def _check(root: Path, request: ProofRequest, progress: Progress) -> tuple[Checked, Claim]:
    """Check what ties rows and states to the claim; from now on, whatever is read is compared with that."""
    check_names(root, request.limits)
    claim = Claim.parse(read_bounded(root, claims.FILE, request.limits))
    if claim.steps > request.limits.steps:
        raise ProofError(claims.FILE, f"steps: {claim.steps}, more than the limit of {request.limits.steps}")
    return check_ledger(check_commitment(root, claim, request.limits), claim, progress=progress), claim


def _challenged(
    checked: Checked, claim: Claim, request: ProofRequest, checkpoints: Sequence[int], progress: Progress
) -> list[Route]:
    """Return the routes to all segments that ``request`` draws; every shard of a verification draws the same ones."""
    proof, metric = checked.proof, metric_of(request.policy)
    stretches = (
        measure_stretches(proof, metric, progress, places_of(proof.commitment.state, request.leaves)) if metric else []
    )
    drawn = draw(request.policy, len(proof.segments), claim.digest(), request.nonce, stretches, claim.format)
    return routes(map(proof.segments.span, drawn), checkpoints)


def _replay(replayer: Replayer, spans: Sequence[Span]) -> list[ReplayResult]:
    """Return the results; what differs is replayed a second time, for it may be the first difference of all shards."""
    results = list(replayer.replay(spans))
    return [*results, *replayer.replay([result.span for result in results if not result.exact])]


def _compare(
    material: ProofMaterial,
    replayer: Replayer,
    challenged: Sequence[Route],
    replays: Sequence[ReplayResult],
    checkpoints: Sequence[int],
    progress: Progress,
) -> list[Compared]:
    """Compare as numbers what differs."""
    pairs = zip(challenged, replays, strict=False)  # the second replays come after the first ones
    targets = [target for route, result in pairs for target in route.targets if not result.for_target(target).exact]
    between = routes_between_checkpoints(targets, checkpoints)
    return list(replayer.compare_spans(material, [route.span for route in between], progress))
