"""Steps are compared as numbers where bits can't decide: opened steps, or the steps between two checkpoints.

The rules are those of `pol_jax.judging.tolerance` (section 14.1 of the protocol). This module gives them the committed
states, inputs and losses of a proof or an opening, and puts the judgement in the form of a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

import msgspec
import numpy as np

from pol_jax.errors import BackendError
from pol_jax.judging.tolerance import StepComparison
from pol_jax.program.artifact import Program
from pol_jax.progress import Progress, heartbeat
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.distances import finite
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.protocol.stages import Stage
from pol_jax.reports.comparison import Compared
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.initial_state import first_key, taken_of
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import Compilations, Metrics, compile_variants
from pol_jax.verifying.decided_spans import Offered, judge_decided
from pol_jax.verifying.initial_comparison import judge_initial_state
from pol_jax.verifying.observed_steps import ObservedSteps

MOST_REASONS: Final = 5
"""This many reasons of one comparison are in a report: a state may have thousands of leaves."""


@runtime_checkable
class CommittedSteps(Protocol):
    """Committed steps have states, inputs and rows: what a comparison needs of a proof or an opening."""

    @property
    def commitment(self) -> Commitment:
        """Return the commitment of the run."""

    @property
    def program(self) -> Program:
        """Return the committed program."""

    def state(self, step: int) -> Sequence[np.ndarray]:
        """Return the leaves of the committed state after a step."""

    def inputs(self, span: Span) -> Iterable[StepInput]:
        """Return the inputs of steps, from committed records; they may be iterated again."""

    def rows_of(self, span: Span) -> Iterable[Row]:
        """Return the ledger's rows of steps, in order."""


def compare_initial(material: CommittedSteps) -> Compared:
    """Compare the initial state, as a step from zeros to it.

    Raises:
        BackendError: the program can't be executed here.
    """
    commitment, leaves = material.commitment, material.state(0)
    # Leaves that were taken over come from no key; stage 7 has compared their digest (section 13).
    taken = taken_of(commitment, leaves)
    return compared_as(Span(-1, 0), judge_initial_state(material.program, first_key(commitment), leaves, taken))


def compare_spans(
    material: CommittedSteps,
    spans: Sequence[Span],
    progress: Progress,
    decisions: Offered | None = None,
    equal: Sequence[Span] = (),
) -> Iterator[Compared]:
    """Compare each span, from the committed state before it to the one after it.

    A span that does not pass is judged once more with the prover's decisions, if there are any of its steps. If all
    pass, those that were reproduced bit for bit are looked at too: last bits that a prover chose in one step, within
    the tolerance, may be read in another one, which then has the same bits everywhere.

    Args:
        material: the committed states and inputs.
        spans: the steps.
        progress: told of each span.
        decisions: entries by step, from an opening.
        equal: steps that were reproduced bit for bit, each from a committed state; where they end, there may be none.

    Raises:
        BackendError: the program can't be executed here.
        DataError: the verifier's records are not the committed ones.
        ProofError: a checkpoint can't be read any more.
    """
    if not (spans or equal):
        return
    progress.begin("comparing within a tolerance", len(spans) + len(equal))
    # A stage that is told again is a sign of life: one span alone may take longer than a process may be silent.
    alive = heartbeat(lambda: progress.stage(Stage.REPLAY.value))
    compilations, decided = compile_variants(material.program, alive=alive), _Decided(material, decisions or {})

    def judge(span: Span, after: Sequence[np.ndarray] | None, metrics: Sequence[Metrics] | None) -> StepComparison:
        return judge_span(compilations, material.state(span.start), after, material.inputs(span), metrics)

    all_passed = True
    for done, span in enumerate(spans, 1):
        metrics = [row.values for row in material.rows_of(span)]
        without = compared_as(span, judge(span, material.state(span.stop), metrics))
        # Section 14.2: decisions are tried only after the plain judgement, and can only turn it into a pass.
        found = decided.judge(compilations, span, metrics, without)
        # A failure or an open span decides the verdict already, so that the equal ones need no look.
        all_passed = all_passed and found.passed
        yield found
        progress.at(done)
    for done, span in enumerate(equal if all_passed else (), len(spans) + 1):
        # Without a state after and without metrics: both are known to be equal, and a state after may not be stored.
        yield compared_as(span, _as_equal(judge(span, None, None)), equal=True)
        progress.at(done)
    progress.end()  # steps that are executed after it are not counted among its spans


def _as_equal(found: StepComparison) -> StepComparison:
    """Return the judgement on steps with equal bits: they pass, unless last places before them decide the result.

    The prover has chosen nothing in these steps, however far this machine's other compilations are off.
    """
    undecided = tuple(f"leaf {leaf.path or '/'}: {leaf.reason}" for leaf in found.leaves if leaf.is_open)
    outcome = Outcome.INCONCLUSIVE if undecided else Outcome.PASSED
    return msgspec.structs.replace(found, outcome=outcome, reasons=undecided or ("equal bit for bit",))


class _Decided:
    """This judge takes the prover's decisions into account."""

    def __init__(self, material: CommittedSteps, decisions: Offered) -> None:
        self._material, self._decisions = material, decisions
        self._steps: ObservedSteps | None = None

    def judge(self, compilations: Compilations, span: Span, metrics: Sequence[Metrics], without: Compared) -> Compared:
        """Judge a span with decisions, if it does not pass ``without``; if it still doesn't, it is left as it was."""
        offered = {step: self._decisions[step] for step in span.steps if step in self._decisions}
        # Entries are never needed by what passes without them, so a prover can not make such a step worse or better.
        if without.passed or not offered:
            return without
        material = self._material
        try:
            if self._steps is None:
                self._steps = ObservedSteps(material.program, [each.variant for each in compilations.every])
            states = material.state(span.start), material.state(span.stop)
            found, used = judge_decided(
                self._steps, compilations, *states, list(material.inputs(span)), metrics, offered
            )
        # A program that is too large to be followed is judged without decisions, and the report says so.
        except BackendError as error:
            return _because(without, f"judged without the prover's decisions: {error}")
        if found.outcome is Outcome.PASSED:
            return msgspec.structs.replace(compared_as(span, found), decisions=used)
        unused = f"; not used: {used.unused}" if used.unused else ""
        return _because(
            without, f"with {used.used} of the prover's {used.given} decisions used: {found.reasons[0]}{unused}"
        )


def _because(found: Compared, reason: str) -> Compared:
    """Return a comparison with one more reason, before its own."""
    return msgspec.structs.replace(found, reasons=(reason, *found.reasons)[:MOST_REASONS])


def compared_as(span: Span, found: StepComparison, *, equal: bool = False) -> Compared:
    """Return a judgement in the form of a report, where numbers that are not finite are None."""
    whole = found.total
    return Compared(
        start=span.start,
        stop=span.stop,
        outcome=found.outcome,
        reasons=found.reasons[:MOST_REASONS],
        update=finite(whole.update),
        noise=finite(whole.noise),
        tolerance=finite(whole.tolerance),
        limit=finite(whole.limit),
        error=finite(whole.error),
        l1=finite(found.l1),
        linf=finite(found.linf),
        cosine=finite(found.cosine),
        infinitesimal=whole.infinitesimal,
        # Only what passed is allowed anything, so only that counts in what tolerances add up to.
        rooms=tuple(leaf.rooms for leaf in found.leaves) if found.outcome is Outcome.PASSED else (),
        equal=equal,
    )
