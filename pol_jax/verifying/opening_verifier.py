"""Verification of an opening: the claim and one file; no data set, no checkpoints, no code of the task.

The stages have the numbers and names of a proof's verification; files are replaced by inclusion proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import jax.numpy as jnp

from pol_jax.errors import BackendError, DataError, ProofError, UsageError
from pol_jax.judging.coverage import covered_steps
from pol_jax.judging.drift import drift_of_opening
from pol_jax.judging.leaf_distances import finite_distance
from pol_jax.judging.replay_result import ReplayResult
from pol_jax.judging.verdict import Evidence, Judgement, judge_bits, judge_numbers
from pol_jax.program.artifact import executing
from pol_jax.program.machine import current_environment
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol.challenge import StepPolicy, draw_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.distances import distance
from pol_jax.protocol.environment import environment_differences
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span, witnessed_spans
from pol_jax.protocol.stages import Stage
from pol_jax.reports.report import Compared, Drift, Outcome, Report, Verdict
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import read_opening
from pol_jax.storage.proof import find_claim
from pol_jax.training.initial_state import initial_leaves, taken_of
from pol_jax.training.loop import Witness
from pol_jax.training.states import Layout
from pol_jax.verifying.ancestry import check_taken, provenance_of
from pol_jax.verifying.initial_test import ks_test
from pol_jax.verifying.numeric_comparison import compare_initial, compare_spans
from pol_jax.verifying.opening_checks import (
    WHERE,
    Opened,
    check_opened_commitment,
    check_opened_inputs,
    check_opened_rows,
    check_opened_states,
)
from pol_jax.verifying.replay import RowComparer, replay_steps
from pol_jax.verifying.stages import Staging, Stopped, replay_of

ReplaySpans: TypeAlias = Callable[[Opened, Claim, Sequence[Span], Progress], list[ReplayResult]]
"""Replays spans of an opening of the claim; in their order."""


def verify_opening(
    claim: Path,
    opening: Path,
    policy: StepPolicy,
    nonce: bytes,
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    d_ref: float | None = None,
    replay: ReplaySpans | None = None,
) -> Report:
    """Check an opening against a claim, and replay the challenged steps.

    Args:
        claim: ``claim.json``, or a directory that has one.
        opening: what ``pol open`` wrote.
        policy: the challenge that the prover was given; never read from the opening.
        nonce: likewise.
        limits: bounds on what is read.
        progress: told of the replayed steps.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too.
        replay: replays the challenged steps; None for `replay_spans`, in this process.

    Raises:
        UsageError: a file is not there, or the policy would check nothing.
    """
    where = find_claim(claim)
    if not opening.is_file():
        raise UsageError(f"{opening}: no such file; expected what pol open writes")
    verification = _OpeningVerification(
        claim_path=where,
        opening_path=opening,
        policy=policy,
        nonce=nonce,
        limits=limits or Limits(),
        replay=replay or _replay_here,
        progress=progress or Silent(),
        environment=current_environment(),
        d_ref=d_ref,
    )
    with suppress(Stopped):
        verification.go_on()
    return verification.report()


@dataclass(kw_only=True)
class _OpeningVerification(Staging):
    """The verification of an opening."""

    claim_path: Path
    opening_path: Path
    policy: StepPolicy
    limits: Limits
    replay: ReplaySpans

    def go_on(self) -> None:
        """Stages 1 to 9."""
        with self.stage(Stage.LIMITS_AND_NAMES) as seen:
            opening = read_opening(self.opening_path, self.limits)
            seen.append(f"{self.opening_path.stat().st_size} bytes")
        with self.stage(Stage.FILES_AGAINST_CLAIM) as seen:
            claim = self.claim = self._claim(opening)
            seen.append("opens this claim")
        with self.stage(Stage.COMMITMENT) as seen:
            commitment, program = check_opened_commitment(opening, claim, self.limits)
            self.task = commitment.task.name
            self.provenance = provenance_of(commitment)
            seen.append("programs match")
        drawn = draw_steps(self.policy, claim.steps, claim.digest(), self.nonce)
        wanted = witnessed_spans(commitment.schedule, drawn, claim.steps)
        with self.stage(Stage.LEDGER) as seen:
            rows = check_opened_rows(opening, commitment, claim)
            seen.append(f"{len(rows)} rows in the ledger")
        answered = [span for span in wanted if _is_answered(span, opening, rows)]
        with self.stage(Stage.KEYS_AND_ORDER) as seen:
            records = check_opened_inputs(opening, commitment, rows, answered)
            seen.append(f"{len(opening.records)} records in the data set")
        with self.stage(Stage.STATE_DIGESTS) as seen:
            states = check_opened_states(opening, commitment, rows)
            seen.append(f"{len(states)} states")
        opened = Opened(commitment, program, rows, records, states)
        self.coverage = covered_steps(self.policy, wanted, [], claim.steps)
        if len(answered) < len(wanted):
            missing = next(span for span in wanted if span not in answered)
            self._leave_open(f"the opening leaves out step {missing.stop}, which was challenged", len(wanted))
        else:
            with self.attempt(Stage.INITIAL_STATE):
                self._check_initial(opened)
            self._judge(opened, claim, wanted)

    def _claim(self, opening: Opening) -> Claim:
        content = read_bounded(self.claim_path.parent, self.claim_path.name, self.limits)
        claim = Claim.parse(content)
        if opening.claim != claim.digest():
            raise ProofError(WHERE, "claim: this opens another claim")
        if claim.steps > self.limits.steps:
            raise ProofError(claims.FILE, f"steps: {claim.steps}, more than the limit of {self.limits.steps}")
        return claim

    def _check_initial(self, opened: Opened) -> None:
        """A part of stage 7, if the initial state was opened: what it takes over; no opening shows from where."""
        if 0 in opened.states:
            leaves = opened.states[0].leaves
            check_taken(opened.commitment, leaves, WHERE)
            self.initial_test = ks_test(opened.program, opened.commitment, leaves)

    def _leave_open(self, reason: str, wanted: int) -> None:
        self.verdict, self.reasons = Verdict.INCONCLUSIVE, (f"{Stage.CHALLENGE}: {reason}",)
        self.note(Stage.INITIAL_STATE, Outcome.NOT_REACHED, "")
        self.note(Stage.CHALLENGE, Outcome.INCONCLUSIVE, f"{wanted} challenged: {reason}")

    def _judge(self, opened: Opened, claim: Claim, wanted: Sequence[Span]) -> None:
        """Stages 7 to 9."""
        changed = environment_differences(claim.environment, self.environment)
        self.progress.stage(9)
        self.progress.begin("replaying", sum(len(span.steps) for span in wanted))
        try:
            initial = initial_is_exact(opened)
            replays = self.replay(opened, claim, wanted, self.progress)
            false = [span for span, replayed in zip(wanted, replays, strict=True) if not replayed.exact][:1]
            again = replay_spans(opened, false, Silent())
            repeatable = again == [replayed for replayed in replays if not replayed.exact][:1]
            judgement = judge_bits(Evidence(changed, initial, None, replays, repeatable, "step"))
            if judgement.verdict is Verdict.INCONCLUSIVE:
                self.compared = self._compare(opened, initial, wanted, replays)
                judgement = judge_numbers(judgement, self.compared, sum(replayed.exact for replayed in replays), "step")
            self.coverage = covered_steps(self.policy, wanted, replays, claim.steps)
            self.drift = self._drift(opened, wanted, claim)
            self.replays = tuple(replay_of(replayed.span.stop, replayed) for replayed in replays)
        except (DataError, BackendError, ProofError) as error:  # the last, where a worker reads another file than this
            undecided = Outcome.INCONCLUSIVE
            reason = f"{Stage.REPLAY}: cannot judge here: {error}"
            judgement = Judgement(Verdict.INCONCLUSIVE, (reason,), Outcome.NOT_REACHED, undecided, str(error))
        finally:
            self.progress.end()
        self.judged(judgement)
        self.note(
            Stage.INITIAL_STATE, judgement.initial, self.seen_of_initial() if 0 in opened.states else "not opened"
        )
        self.note(Stage.CHALLENGE, Outcome.PASSED, f"{len(wanted)} of {claim.steps} steps")
        self.note(Stage.REPLAY, judgement.replay, judgement.seen)

    def _drift(self, opened: Opened, wanted: Sequence[Span], claim: Claim) -> Drift:
        def between(start: int, stop: int) -> float:
            return distance(opened.commitment.state, opened.state(start), opened.state(stop), "l2")

        sizes = [between(span.start, span.stop) for span in wanted]
        ends = {0, claim.steps} <= opened.states.keys()
        whole = finite_distance(opened.commitment.state, opened.state(0), opened.state(claim.steps)) if ends else None
        return drift_of_opening(sizes, whole, self.compared, claim.steps, self.d_ref)

    def _compare(
        self, opened: Opened, initial: bool | None, wanted: Sequence[Span], replays: Sequence[ReplayResult]
    ) -> tuple[Compared, ...]:
        """What did not come out bit for bit, within a tolerance that is calibrated here."""
        start = [compare_initial(opened)] if initial is False else []
        false = [span for span, replayed in zip(wanted, replays, strict=True) if not replayed.exact]
        return (*start, *compare_spans(opened, false, self.progress))


def _is_answered(span: Span, opening: Opening, rows: Mapping[int, Row]) -> bool:
    states = {state.step for state in opening.states}
    return {span.start, *span.steps} <= rows.keys() and {span.start, span.stop} <= states


def initial_is_exact(opened: Opened) -> bool | None:
    """Whether ``init`` gives the initial state under the key of step 0; None if that state was not opened."""
    if 0 not in opened.states:
        return None
    commitment = opened.commitment
    with executing():
        leaves = initial_leaves(opened.program, commitment, taken_of(commitment, opened.states[0].leaves))
    return Layout(commitment.state).gather(leaves).digest() == opened.rows[0].state


def _replay_here(opened: Opened, _: Claim, wanted: Sequence[Span], progress: Progress) -> list[ReplayResult]:
    return replay_spans(opened, wanted, progress)


def replay_spans(opened: Opened, wanted: Sequence[Span], progress: Progress) -> list[ReplayResult]:
    """Replay each span from its opened state, with the opened records, against the opened rows."""
    witness = Witness(Layout(opened.commitment.state), opened.records, lambda step: opened.rows[step].state is not None)
    results = list[ReplayResult]()
    for span in wanted:
        state = tuple(jnp.array(leaf) for leaf in opened.states[span.start].leaves)
        comparer = RowComparer(iter(opened.rows_of(span)), span)
        results.append(replay_steps(opened.program, witness, state, opened.inputs(span), comparer))
        progress.at(len(results))
    return results
