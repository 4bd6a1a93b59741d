"""Steps are compared as numbers where bits can't decide: opened steps, or the steps between two checkpoints.

The rules are those of `pol_jax.judging.tolerance` (section 14.1 of the protocol). This module gives them the committed
states, inputs and losses of a proof or an opening, and puts the judgement in the form of a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from pol_jax.judging.tolerance import StepComparison
from pol_jax.program.artifact import Program
from pol_jax.progress import Progress
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.distances import finite
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.reports.report import Compared, Outcome
from pol_jax.training.initial_state import first_key, taken_of
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.calibration import judge_initial_state, judge_span
from pol_jax.verifying.compilations import compile_variants


@runtime_checkable
class CommittedSteps(Protocol):
    """Committed states, inputs and rows: what a comparison needs of a proof or an opening."""

    @property
    def commitment(self) -> Commitment:
        """The commitment of the run."""

    @property
    def program(self) -> Program:
        """The committed program."""

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
    taken = taken_of(commitment, leaves)
    return compared_as(-1, 0, judge_initial_state(material.program, first_key(commitment), leaves, taken))


def compare_spans(material: CommittedSteps, spans: Sequence[Span], progress: Progress) -> Iterator[Compared]:
    """Compare each span, from the committed state before it to the one after it.

    Raises:
        BackendError: the program can't be executed here.
        DataError: the verifier's records are not the committed ones.
        ProofError: a checkpoint can't be read any more.
    """
    if not spans:
        return
    progress.begin("comparing within a tolerance", len(spans))
    compilations = compile_variants(material.program)
    for done, span in enumerate(spans, 1):
        metrics = [row.values for row in material.rows_of(span)]
        before, after = material.state(span.start), material.state(span.stop)
        found = judge_span(compilations, before, after, material.inputs(span), metrics)
        yield compared_as(span.start, span.stop, found)
        progress.at(done)


def compared_as(start: int, stop: int, found: StepComparison) -> Compared:
    """Return a judgement in the form of a report, where numbers that are not finite are None."""
    whole = found.total
    return Compared(
        start=start,
        stop=stop,
        outcome=found.outcome,
        reasons=found.reasons[:5],
        update=finite(whole.update),
        noise=finite(whole.noise),
        tolerance=finite(whole.tolerance),
        limit=finite(whole.limit),
        error=finite(whole.error),
        l1=finite(found.l1),
        linf=finite(found.linf),
        cosine=finite(found.cosine),
        infinitesimal=whole.infinitesimal,
        rooms=tuple(leaf.rooms for leaf in found.leaves) if found.outcome is Outcome.PASSED else (),
    )
