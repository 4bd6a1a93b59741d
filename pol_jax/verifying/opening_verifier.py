"""An opening is verified with the claim alone: without data set, checkpoints or code of the task.

The stages have the numbers and names of a proof's verification; inclusion proofs take the place of the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.judging.coverage import covered_steps
from pol_jax.judging.displacement import displacements
from pol_jax.judging.drift import drift_of_opening
from pol_jax.judging.replay_result import ReplayResult, replay_of
from pol_jax.judging.tolerated import Tolerated
from pol_jax.judging.verdict import Evidence, Judgement, judge_bits, judge_numbers
from pol_jax.program.artifact import Artifacts
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol.challenge import challenged_steps, draw_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.distances import distance
from pol_jax.protocol.initial import EarlierProof
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.policies import RandomSteps
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span, witnessed_span, witnessed_spans
from pol_jax.protocol.stages import Stage
from pol_jax.reports.comparison import Compared
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.storage.inventory import find_claim, read_bounded
from pol_jax.storage.openings import read_opening
from pol_jax.verifying.ancestry import check_taken
from pol_jax.verifying.backend_differences import BackendDifferences, deciding_replay, differences_where
from pol_jax.verifying.initial_test import ks_test
from pol_jax.verifying.interruption import interrupted_replay
from pol_jax.verifying.numeric_comparison import compare_initial, compare_spans
from pol_jax.verifying.opening_checks import Opened, check_opened_commitment, check_opened_decisions, missing_ends
from pol_jax.verifying.opening_contents import check_interventions, check_opened_inputs, check_opened_states
from pol_jax.verifying.opening_replay import ReplaySpans, initial_is_exact, replay_here, replay_spans
from pol_jax.verifying.opening_rows import WHERE, check_opened_rows
from pol_jax.verifying.request import OpeningRequest
from pol_jax.verifying.trusted_program import Trusted
from pol_jax.verifying.verifier import Verifier

_NO_EARLIER_PROOF: Final = (
    "the run starts from an earlier one, which no opening shows; verify the directories of both proofs together"
)


class OpeningVerifier(Verifier[OpeningRequest]):
    """This verifier checks an opening in this process."""

    def __init__(
        self,
        request: OpeningRequest,
        *,
        trusted: Trusted | None = None,
        progress: Progress | None = None,
        replay: ReplaySpans = replay_here,
    ) -> None:
        """Verify what ``request`` asks about.

        Args:
            request: what the verifier asks.
            trusted: tells which programs the source that the verifier trusts gives (see `trust`).
            progress: told of the stages and of the replayed steps.
            replay: replays the challenged steps; the usual function does so in this process.

        Raises:
            UsageError: a file is not there, or there is no source to compare with.
        """
        self._claim_file, self._opening_file = find_claim(Path(request.claim)), Path(request.opening)
        if not self._opening_file.is_file():
            raise UsageError(f"{self._opening_file}: no such file; expected an opening")
        super().__init__(request, trusted, progress or Silent())
        self._replay_spans = replay

    def run_stages(self) -> None:
        """Go through stages 1 to 9.

        Raises:
            StageFailed: one was not passed.
            UsageError: the policy would check nothing, or names a step that isn't there.
        """
        request = self.request
        with self.stage(Stage.LIMITS_AND_NAMES) as seen:
            opening = read_opening(self._opening_file, request.limits)
            seen.append(f"{self._opening_file.stat().st_size} bytes")
        with self.stage(Stage.FILES_AGAINST_CLAIM) as seen:
            claim = self._read_claim(opening)
            self.add_claim(claim)
            seen.append("opens this claim")
        with self.stage(Stage.COMMITMENT) as seen:
            commitment, program = check_opened_commitment(opening, claim, request.limits)
            self.add_commitment(commitment)
            seen += self.add_attestations(self._claim_file.parent, commitment, claim)
            seen += ["programs match", self.see_program(program)]
            seen += self.compare_programs(lambda: Artifacts(opening.init, opening.step), commitment, claim)
        # The challenge is the verifier's: a prover who chose the steps would open true ones (section 14).
        drawn = challenged_steps(request.policy, claim.steps, claim.digest(), request.nonce, claim.format)
        wanted = witnessed_spans(commitment.schedule, drawn, claim.steps)
        with self.stage(Stage.LEDGER) as seen:
            rows = check_opened_rows(opening, commitment, claim)
            seen.append(f"{len(rows)} rows in the ledger")
        answered = [span for span in wanted if _is_answered(span, opening, rows)]
        with self.stage(Stage.KEYS_AND_ORDER) as seen:
            records = check_opened_inputs(opening, commitment, rows, answered)
            seen.append(f"{len(opening.records)} records in the data set")
            decisions = check_opened_decisions(opening, program, rows)
        with self.stage(Stage.STATE_DIGESTS) as seen:
            states = check_opened_states(opening, commitment, rows)
            changed = check_interventions(opening, commitment, claim, answered)
            if claim.steps in states:
                self.see_final(commitment.state, states[claim.steps].leaves, WHERE)
            seen.append(f"{len(states)} states")
        # Should the verification end here, the report says that nothing was covered.
        self.add(coverage=covered_steps(request.policy, wanted, [], claim.steps))
        # Before anything is replayed: replays of the rest could not make up for the step that is left out.
        if len(answered) < len(wanted):
            self._leave_open(next(span for span in wanted if span not in answered), len(wanted))
            return
        opened = Opened(commitment, program, rows, records, states, changed, decisions)
        with self.attempt(Stage.INITIAL_STATE):
            self._check_initial(opened)
        self._judge(opened, claim, wanted)

    def _read_claim(self, opening: Opening) -> Claim:
        limits = self.request.limits
        claim = Claim.parse(read_bounded(self._claim_file.parent, self._claim_file.name, limits))
        if opening.claim != claim.digest():
            raise ProofError(WHERE, "claim: this opens another claim")
        if claim.steps > limits.steps:
            raise ProofError(claims.FILE, f"steps: {claim.steps}, more than the limit of {limits.steps}")
        return claim

    def _check_initial(self, opened: Opened) -> None:
        """Check what an opened initial state takes over; no opening shows the proof that it comes from."""
        if 0 in opened.states:
            leaves = opened.states[0].leaves
            check_taken(opened.commitment, leaves, WHERE)
            self.add(initial_test=ks_test(opened.program, opened.commitment, leaves))

    def _leave_open(self, missing: Span, wanted: int) -> None:
        """Leave the verdict open: a prover who can't or won't show a step has not shown that it is true, or false."""
        reason = f"the opening leaves out step {missing.stop}, which was challenged"
        self.add(verdict=Verdict.INCONCLUSIVE, reasons=(f"{Stage.CHALLENGE}: {reason}",))
        self.note(Stage.CHALLENGE, Outcome.INCONCLUSIVE, f"{wanted} challenged: {reason}")

    def _accept_nothing(self, stage: Stage, why: str) -> None:
        """Leave the verdict open, unless it is a rejection: what was opened may be false, but it can't be enough."""
        rejected = self.report.verdict is Verdict.REJECTED
        verdict = Verdict.REJECTED if rejected else Verdict.INCONCLUSIVE
        self.add(verdict=verdict, mode=None, reasons=(f"{stage}: {why}", *self.report.reasons))
        self.note(stage, Outcome.INCONCLUSIVE, why)

    def _judge(self, opened: Opened, claim: Claim, wanted: Sequence[Span]) -> None:
        """Go through stages 7 to 9 together: only the replay tells what an initial state with other bits means."""
        self.progress.stage(Stage.REPLAY.value)
        self.progress.begin("replaying", sum(len(span.steps) for span in wanted))
        try:
            judgement = self._replay(opened, claim, wanted)
        except (DataError, BackendError, ProofError) as error:
            judgement = interrupted_replay(error, initial=Outcome.NOT_REACHED)
        finally:
            self.progress.end()
        self.conclude(judgement)
        initial = self.initial_detail() if 0 in opened.states else "not opened"
        self.note(Stage.INITIAL_STATE, judgement.initial, initial)
        self.note(Stage.CHALLENGE, Outcome.PASSED, f"{len(wanted)} of {claim.steps} steps")
        missing = missing_ends(opened, claim.steps, within_tolerance=any(each.passed for each in self.report.compared))
        if missing:
            self._accept_nothing(Stage.CHALLENGE, missing)
        # A false run may stand before a true one, and no opening shows it (section 14.1).
        if isinstance(opened.commitment.initial, EarlierProof) and judgement.verdict is not Verdict.REJECTED:
            self._accept_nothing(Stage.INITIAL_STATE, _NO_EARLIER_PROOF)
        self.note(Stage.REPLAY, judgement.replay, judgement.seen)

    def _replay(self, opened: Opened, claim: Claim, wanted: Sequence[Span]) -> Judgement:
        """Replay the challenged steps, and add to the report what that gives.

        The replay that decides is run a second time: a backend that doesn't repeat itself can't reject.
        """
        policy, steps = self.request.policy, claim.steps
        initial = initial_is_exact(opened)
        results = self._replay_spans(opened, claim, wanted, self.progress)
        exact_arithmetic = opened.commitment.arithmetic is not None
        differences = BackendDifferences(opened.commitment, claim, self.environment, opened.program.open_products)
        deciding = deciding_replay(differences, results)
        # In this process, whoever replayed it first: a worker that computes wrongly does not confirm its own error.
        repeated = replay_spans(opened, [result.span for result in deciding], Silent())
        found = differences_where(differences, initial, results)
        evidence = Evidence(found, initial, None, results, repeated == deciding, exact_arithmetic, "step")
        judgement = judge_bits(evidence)
        if judgement.verdict is Verdict.INCONCLUSIVE and not exact_arithmetic:
            compared = tuple(map(differences.left_open, self._compare(opened, initial, results)))
            self.add(compared=compared)
            judgement = judge_numbers(judgement, compared, sum(each.exact for each in results), "step")
        self.add(
            coverage=covered_steps(policy, wanted, results, steps),
            replays=tuple(replay_of(result.span.stop, result) for result in results),
        )
        self.add_drift(self._drift(opened, claim, wanted))
        self.add_dependence(opened, wanted[-1])
        return judgement

    def _compare(self, opened: Opened, initial: bool | None, results: Sequence[ReplayResult]) -> tuple[Compared, ...]:
        """Compare what has other bits here within a tolerance that is calibrated on this machine."""
        start = [compare_initial(opened)] if initial is False else []
        differing, equal = ([each.span for each in results if each.exact is exact] for exact in (False, True))
        return (*start, *compare_spans(opened, differing, self.progress, opened.decisions, equal))

    def _drift(self, opened: Opened, claim: Claim, wanted: Sequence[Span]) -> Drift:
        """Measure how far the challenged steps went; and the whole run, if both of its ends were opened."""
        state, steps = opened.commitment.state, claim.steps
        sizes = [distance(state, opened.state(span.start), opened.state(span.stop), "l2") for span in wanted]
        # Without both ends the distance of the run is unknown, and nothing is accepted within a tolerance (section 14).
        ends = {0, steps} <= opened.states.keys()
        moved = displacements(state, opened.state(0), opened.state(steps)) if ends else None
        return drift_of_opening(sizes, state, moved, self._tolerated(opened, claim), self.request.d_ref)

    def _tolerated(self, opened: Opened, claim: Claim) -> Tolerated:
        """Say for how many steps the comparisons stand: a random draw stands for the whole run, its ends don't."""
        policy, compared = self.request.policy, self.report.compared
        if not isinstance(policy, RandomSteps):
            return Tolerated(compared, claim.steps, leaves=self.leaves)
        drawn = draw_steps(policy, claim.steps, claim.digest(), self.request.nonce, claim.format)
        # Steps 1 and T are in every challenge of random steps, drawn or not; only the draw stands for the whole run.
        spans = [witnessed_span(opened.commitment.schedule, step, claim.steps) for step in drawn]
        return Tolerated(compared, claim.steps, spans, policy.confidence, self.leaves)


def _is_answered(span: Span, opening: Opening, rows: Mapping[int, Row]) -> bool:
    states = {state.step for state in opening.states}
    return {span.start, *span.steps} <= rows.keys() and {span.start, span.stop} <= states
