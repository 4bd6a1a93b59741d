"""An opening is checked against its claim before it is replayed (docs/protocol.md, section 14, stages 3 to 6).

Inclusion proofs stand in place of a directory's files. These are rules without IO, and they import nothing of storage:
machines that only measure backends check openings too, without pyarrow and orbax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pol_jax.errors import BackendError, ProofError
from pol_jax.program.artifact import Artifacts, Program, artifact_digests, check_constants, load_program
from pol_jax.program.signature import Signature
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.decision_entries import EntriesBySite, SiteKind, entries_by_site
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.training.inputs import Changed, StepInput, step_inputs
from pol_jax.training.opened_records import OpenedRecords
from pol_jax.training.states import HostState
from pol_jax.verifying.agreement import check_agreement
from pol_jax.verifying.opening_contents import check_interventions, check_opened_inputs, check_opened_states
from pol_jax.verifying.opening_rows import WHERE, check_opened_rows


@dataclass(frozen=True)
class Opened:
    """An opened run is an opening whose parts hold against the claim.

    Attributes:
        commitment: parsed.
        program: loaded.
        rows: of the ledger, by step.
        records: as a source.
        states: by step; they have the digests of their rows.
        changed: what interventions put into the state, by the step after which they did.
        decisions: the prover's entries, by step.
    """

    commitment: Commitment
    program: Program
    rows: Mapping[int, Row]
    records: OpenedRecords
    states: Mapping[int, HostState]
    changed: Mapping[int, Changed]
    decisions: Mapping[int, EntriesBySite] = field(default_factory=dict)

    def state(self, step: int) -> Sequence[np.ndarray]:
        """Return the leaves of an opened state."""
        return self.states[step].leaves

    def inputs(self, span: Span) -> list[StepInput]:
        """Return the inputs of the steps of a span whose records were opened."""
        return list(step_inputs(self.commitment, self.records, span.start + 1, span.stop + 1, self.changes))

    def changes(self, step: int) -> Changed:
        """Return what an intervention after a step put into the state."""
        return self.changed.get(step, {})

    def rows_of(self, span: Span) -> list[Row]:
        """Return the rows of the steps of a span."""
        return [self.rows[step] for step in span.steps]


def check_opened_commitment(opening: Opening, claim: Claim, limits: Limits) -> tuple[Commitment, Program]:
    """Check stage 3: the commitment is the claimed one, and the programs are the committed ones.

    Raises:
        ProofError: something is another one, or beyond the limits.
        BackendError: the programs are of a version that this jax can't read.
    """
    commitment = Commitment.parse(opening.commitment)
    if commitment.digest().hex() != claim.commitment:
        raise ProofError(WHERE, "commitment: is not the one that the claim names")
    check_agreement(WHERE, commitment, claim)
    if opening.format != claim.format:
        raise ProofError(WHERE, f"format: got {opening.format}, and the claim has {claim.format}")
    program = load_opened_program(opening, commitment, limits)
    check_constants(program, limits)
    return commitment, program


def load_opened_program(opening: Opening, commitment: Commitment, limits: Limits) -> Program:
    """Load the programs, if they are the committed ones and their state is within the limit. The claim isn't needed.

    Raises:
        ProofError: they are others, or the state is larger.
        BackendError: they are of a version that this jax can't read.
    """
    if nbytes(commitment.state) > limits.state_bytes:
        raise ProofError(WHERE, f"commitment: state: more than the limit of {limits.state_bytes} bytes")
    artifacts = Artifacts(opening.init, opening.step)
    # Before they are loaded: only committed bytes reach a parser of a library.
    if artifact_digests(artifacts) != (commitment.program.init, commitment.program.step):
        raise ProofError(WHERE, "init or step: is not the committed program: its digest differs")
    return load_program(artifacts, Signature.from_commitment(commitment))


def check_opened_decisions(opening: Opening, program: Program, rows: Mapping[int, Row]) -> dict[int, EntriesBySite]:
    """Check stage 5: decisions are of opened steps, and of sites and elements that the program has.

    Those of a program that can't be followed here are not used, and there is nothing to hold them against.

    Raises:
        ProofError: they are not.
    """
    for each in opening.decisions:
        if each.step not in rows:
            raise ProofError(WHERE, f"decisions: step {each.step}: its row was not opened")
    # Reading the sites of a large program takes seconds, so it is not done for nothing.
    if not opening.decisions:
        return {}
    try:
        # Sites have the same numbers whatever room there is for executions, so the least is enough.
        sites = program.observe(1).sites
    except BackendError:
        return {}
    kinds = [SiteKind(each.dtype, each.size, each.nested) for each in sites]
    return {each.step: entries_by_site(each, kinds, WHERE) for each in opening.decisions}


def missing_ends(opened: Opened, steps: int, *, within_tolerance: bool) -> str | None:
    """Return which end of the run an opening leaves out, in words, and what to ask for; None if it shows both ends.

    Steps alone prove nothing about a model: they may be true steps of a run that begins with another initial state, or
    that doesn't end in the claimed final state.

    Args:
        opened: checked.
        steps: T.
        within_tolerance: whether something passed only within a tolerance. What tolerances add up to is then held
            against the distance from the initial to the final state, for which both must be there.
    """
    shown = (
        (0 in opened.states, "the initial state (nothing shows that the run begins with it)"),
        (steps in opened.rows, f"row {steps} (nothing shows that the run ends in the claim's final_state)"),
        (
            steps in opened.states or not within_tolerance,
            f"the state after step {steps} (nothing shows that tolerances add up to little)",
        ),
    )
    missing = [words for is_shown, words in shown if not is_shown]
    if not missing:
        return None
    return f"the opening leaves out {' and '.join(missing)}; ask for one with rows and states of steps 0 and {steps}"


def check_opening(opening: Opening, claim: Claim, executed: Sequence[Span], limits: Limits) -> Opened:
    """Check stages 3 to 6 in one go.

    Args:
        opening: that opens ``claim``.
        claim: the prover's.
        executed: spans that are to be replayed; the rows of their steps must be there.
        limits: bounds on what is read.

    Raises:
        ProofError: the first check that fails.
    """
    commitment, program = check_opened_commitment(opening, claim, limits)
    rows = check_opened_rows(opening, commitment, claim)
    records = check_opened_inputs(opening, commitment, rows, executed)
    states = check_opened_states(opening, commitment, rows)
    return Opened(commitment, program, rows, records, states, check_interventions(opening, commitment, claim, executed))
