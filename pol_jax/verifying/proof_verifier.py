"""Verification of a proof: the nine stages in order, with the records and the source that the verifier trusts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from msgspec import structs

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.judging.coverage import covered_segments
from pol_jax.judging.drift import Trajectory, drift_of
from pol_jax.judging.tolerated import Tolerated
from pol_jax.judging.verdict import Judgement, with_origin_doubt
from pol_jax.progress import Progress, Silent, WithinStage
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.challenge import Stretch, draw
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.policies import metric_of
from pol_jax.protocol.spans import Route, Segments, routes
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.curves import Curve, Update, thin
from pol_jax.reports.outcomes import Mode, Outcome, Verdict
from pol_jax.reports.report import Report
from pol_jax.storage.checkpoint_names import checkpoint_name
from pol_jax.storage.orbax_settings import check_place
from pol_jax.storage.run import check_finished
from pol_jax.training.committed_records import CommittedRecords
from pol_jax.training.sources import SourceOrFinder, source_for
from pol_jax.training.task import Source
from pol_jax.verifying.ancestry import Lineage, check_ancestry, check_taken, lineage_of
from pol_jax.verifying.backend_differences import BackendDifferences
from pol_jax.verifying.challenged_segments import check_segments, self_test_of, steered_steps
from pol_jax.verifying.checks import (
    Checked,
    check_commitment,
    check_files,
    check_inputs,
    check_ledger,
    check_names,
    check_states,
)
from pol_jax.verifying.initial_test import ks_test
from pol_jax.verifying.interruption import interrupted_replay
from pol_jax.verifying.proof_material import ProofMaterial
from pol_jax.verifying.replay import MakeReplayer, Replayer
from pol_jax.verifying.request import ProofRequest
from pol_jax.verifying.trusted_program import Trusted
from pol_jax.verifying.update_sizes import measure_stretches
from pol_jax.verifying.verifier import Verifier


@dataclass(frozen=True)
class _Passed:
    """Stages 1 to 6 leave this to those after them.

    Attributes:
        checked: the proof, its program and the digests of its records.
        claim: the proof's.
        checkpoints: the steps whose checkpoints are there, ascending.
        stretches: how far the updates went, by the policy's metric; none where it ranks none.
        trajectory: the states from checkpoint to checkpoint, for the drift.
    """

    checked: Checked
    claim: Claim
    checkpoints: Sequence[int]
    stretches: Sequence[Stretch]
    trajectory: Trajectory


class ProofVerifier(Verifier[ProofRequest]):
    """This verifier checks a proof in this process."""

    def __init__(
        self,
        request: ProofRequest,
        source: SourceOrFinder,
        *,
        trusted: Trusted | None = None,
        progress: Progress | None = None,
        replayer: MakeReplayer = Replayer,
        replayer_of_ancestors: MakeReplayer | None = None,
        lineage: Lineage | None = None,
    ) -> None:
        """Verify what ``request`` asks about.

        Args:
            request: what the verifier asks.
            source: the training records, from where the verifier trusts them; only challenged ones are read. A function
                is asked for them once stages 1 to 6 are passed, and for those of each earlier proof.
            trusted: tells which programs the source that the verifier trusts gives (see `trust`).
            progress: told of the stages and of the replayed steps.
            replayer: makes what replays the segments; the usual one replays in this process.
            replayer_of_ancestors: likewise for earlier proofs, of which shards find nothing; None for ``replayer``.
            lineage: of an earlier proof, the chain of proofs that led to it; None to read the request's parents.

        Raises:
            UsageError: there is no proof, a parent is no finished proof, or there is no source to compare with.
        """
        root = Path(request.path)
        if not root.is_dir():
            raise UsageError(f"{root}: no such directory")
        if not any((root / name).exists() for name in ("commitment.json", "claim.json", "inventory.json")):
            raise UsageError(f"{root}: no proof here; expected a directory with {commitments.FILE}")
        # A run that is not finished is no proof yet: it gets an error and no verdict (section 13).
        check_finished(root)
        check_place(root)
        super().__init__(request, trusted, progress or Silent())
        self._root, self._source = root, source
        self._passed: _Passed | None = None
        self._make_replayer, self._is_ancestor = replayer, lineage is not None
        self._replayer_of_ancestors = replayer_of_ancestors or replayer
        self._lineage = lineage or lineage_of(request.parents, request.limits)

    def run_stages(self) -> None:
        """Go through stages 1 to 9."""
        self._passed = passed = self._check_ledger_and_states(*self._check_documents())
        with self.attempt(Stage.INITIAL_STATE):
            # Earlier proofs first (section 13.3): where one of them is rejected, nothing of this one is replayed.
            doubt = self._check_beginning(passed)
        self._judge(passed, doubt)

    def _check_documents(self) -> tuple[Checked, Claim]:
        """Go through stages 1 to 3: the files are those of the claim, and the commitment and its programs hold."""
        limits = self.request.limits
        with self.stage(Stage.LIMITS_AND_NAMES) as seen:
            sizes = check_names(self._root, limits)
            seen.append(f"{len(sizes)} files, {sum(sizes.values())} bytes")
        with self.stage(Stage.FILES_AGAINST_CLAIM) as seen:
            claim, inventory = check_files(self._root, sizes, limits, self.progress)
            self.add_claim(claim)
            cited = inventory.digest()
            self.add(inventory=cited.hex() if cited else None)
            seen.append(f"{len(sizes) - 1} digests")
        with self.stage(Stage.COMMITMENT) as seen:
            checked = check_commitment(self._root, claim, limits)
            proof = checked.proof
            self.add_commitment(proof.commitment)
            # A signature is about the proof that was asked for: an earlier one may be another prover's.
            if not self._is_ancestor:
                seen += self.add_attestations(self._root, proof.commitment, claim)
            seen.append(f"{len(checked.records)} records, programs match")
            if mesh := proof.commitment.mesh:
                seen.append(f"committed to arrays cut over {mesh.device_count} devices ({mesh})")
            seen.append(self.see_program(checked.program))
            seen += self.compare_programs(proof.artifacts, proof.commitment, claim)
        return checked, claim

    def _check_ledger_and_states(self, checked: Checked, claim: Claim) -> _Passed:
        """Go through stages 4 to 6, which read every row and every checkpoint, and execute nothing."""
        with self.stage(Stage.LEDGER) as seen:
            curve = Curve(claim.steps)
            checked = check_ledger(checked, claim, curve, self.progress)
            proof = checked.proof
            self.add(curve=curve.points())
            seen.append(f"{claim.steps + 1} rows")
        with self.stage(Stage.KEYS_AND_ORDER) as seen:
            check_inputs(proof, claim, checked.records, self.progress)
            seen.append(f"{claim.steps + 1} rows re-derived")
        with self.stage(Stage.STATE_DIGESTS) as seen:
            trajectory = Trajectory(proof.commitment.state)
            see = partial(self._see_state, trajectory, claim.steps)
            checkpoints = check_states(proof, see, self.progress)
            seen.append(f"{len(checkpoints)} checkpoints")
            metric = metric_of(self.request.policy)
            # Only if the policy ranks updates: measuring reads every checkpoint a second time.
            stretches = measure_stretches(proof, metric, self.progress, self.leaves) if metric else []
            seen += [f"{len(stretches)} updates measured"] if metric else []
            ranked = [_update(each, proof.segments) for each in stretches]
            self.add(updates=thin(ranked if metric else trajectory.updates))
        return _Passed(checked, claim, checkpoints, stretches, trajectory)

    def stored_states(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield the steps and states of the checkpoints that are there, the final one left out."""
        assert self._passed is not None  # noqa: S101  # it was accepted
        proof, steps = self._passed.checked.proof, self._passed.checkpoints
        for step in steps[:-1]:
            leaves = proof.host_leaves(step)
            yield step, {leaf.path: np.asarray(x) for leaf, x in zip(proof.commitment.state, leaves, strict=True)}

    def _see_state(self, trajectory: Trajectory, final: int, step: int, leaves: HostLeaves) -> None:
        """Measure a state as it is read, and look at the final one."""
        trajectory.add(step, leaves)
        if step == final:
            self.see_final(trajectory.spec, leaves, checkpoint_name(step))

    def _check_beginning(self, passed: _Passed) -> str | None:
        """Check what the initial state takes over, and the proofs that it comes from.

        Returns:
            Why these leave open where the initial state comes from; None if they don't.
        """
        proof = passed.checked.proof
        initial = proof.checked_leaves(0)
        check_taken(proof.commitment, initial, checkpoint_name(0))
        ancestry = check_ancestry(
            proof.commitment, passed.claim, self._lineage, self._verify_ancestor, self.request.limits
        )
        self.add(ancestors=ancestry.ancestors)
        if ancestry.refusal:
            raise ProofError(commitments.FILE, f"initial: {ancestry.refusal}")
        self.add(initial_test=ks_test(passed.checked.program, proof.commitment, initial))
        return ancestry.doubt

    def _verify_ancestor(self, root: Path, lineage: Lineage) -> Report:
        """Verify an earlier proof as this one is verified."""
        return ProofVerifier(
            self.request.of_ancestor(root),
            self._source,
            trusted=self.trusted,
            progress=WithinStage(self.progress, Stage.INITIAL_STATE.value),
            replayer=self._replayer_of_ancestors,
            lineage=lineage,
        ).run()

    def _judge(self, passed: _Passed, doubt: str | None) -> None:
        """Go through stages 7 to 9 together: only a replay tells what an initial state with other bits means."""
        checked, request = passed.checked, self.request
        segments = checked.proof.segments
        claim = passed.claim
        # From the claim's digest, so that a prover who changes the claim gets another draw (section 12.1).
        drawn = draw(request.policy, len(segments), claim.digest(), request.nonce, passed.stretches, claim.format)
        challenged = routes(map(segments.span, drawn), passed.checkpoints)
        # Should the replay be interrupted, the report says that nothing was covered.
        self.add(coverage=covered_segments(request.policy, challenged, [], segments))
        steps = sum(len(route.span.steps) for route in challenged)
        # The source is asked for only now: a proof that stages 1 to 6 refuse must not make a verifier read records.
        source = source_for(self._source, checked.proof.commitment)
        self.progress.stage(Stage.REPLAY.value)
        self.progress.begin("replaying", steps + self_test_of(segments).stop)
        try:
            # How segments are replayed, here or by several processes, is handed in: this module knows no processes.
            replayer = self._make_replayer(checked, source, request.secret, self.progress)
            judgement = self._replay(passed, source, replayer, challenged)
        except (DataError, BackendError, ProofError) as error:  # the last, where a file changed since it was checked
            judgement = interrupted_replay(error, initial=Outcome.INCONCLUSIVE)
        finally:
            self.progress.end()
        # After the judgement: a doubt about the origin makes no rejection milder (section 13.3).
        judgement = with_origin_doubt(judgement, doubt)
        self.conclude(judgement)
        self.note(Stage.INITIAL_STATE, judgement.initial, self.initial_detail())
        self.note(Stage.CHALLENGE, Outcome.PASSED, f"{len(drawn)} of {len(segments)} segments, {steps} steps to replay")
        self.note(Stage.REPLAY, judgement.replay, judgement.seen)

    def _replay(self, passed: _Passed, source: Source, replayer: Replayer, challenged: Sequence[Route]) -> Judgement:
        """Replay the challenged segments, and add to the report what that gives."""
        checked, claim, policy = passed.checked, passed.claim, self.request.policy
        records = CommittedRecords(checked.records, self.request.secret, claim.format)
        material = ProofMaterial(checked, source, records)
        differences = BackendDifferences(
            checked.proof.commitment, claim, self.environment, checked.program.open_products
        )
        found = check_segments(material, replayer, policy, challenged, passed.checkpoints, differences, self.progress)
        # Last places that an earlier run ended in may steer this one, with equal bits everywhere (section 14.1).
        if found.judgement.verdict is Verdict.ACCEPTED and any(a.mode is Mode.TOLERANCE for a in self.report.ancestors):
            self.doubts += steered_steps(material, replayer, challenged, passed.checkpoints, self.progress)
        self.add(coverage=found.coverage, compared=found.compared, self_test=found.self_test, replays=found.replays)
        if found.replays and self.report.data:
            self.add(data=structs.replace(self.report.data, compared=self.request.records))
        segments = len(checked.proof.segments)
        tolerated = Tolerated(found.compared, claim.steps, leaves=self.leaves)
        drift = drift_of(passed.trajectory, policy, segments, found.confirmed, tolerated, self.request.d_ref)
        self.add_drift(drift)
        # Of an earlier proof, a report has no place for it.
        if challenged and not self._is_ancestor:
            self.add_dependence(material, challenged[-1].span)
        return found.judgement


def _update(stretch: Stretch, segments: Segments) -> Update:
    start, stop = segments.span(stretch.segments[0]).start, segments.span(stretch.segments[-1]).stop
    return Update(start, stop, stretch.magnitude if math.isfinite(stretch.magnitude) else None)
