"""An opening is checked against its claim before it is replayed (docs/protocol.md, section 14, stages 3 to 6).

Inclusion proofs stand in place of a directory's files. These are rules without IO, and they import nothing of storage:
machines that only measure backends check openings too, without pyarrow and orbax.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pol_jax.errors import BackendError, ProofError
from pol_jax.program.artifact import Artifacts, Program, Signature, artifact_digests, check_constants, load_program
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.decision_entries import EntriesBySite, SiteKind, entries_by_site
from pol_jax.protocol.encoding import Digest, batch_digest, record_digests
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import OpenedRow, Opening
from pol_jax.protocol.rows import Row, RowLayout, decode_row
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import DTYPES, ArraySpec, has_odd_bool
from pol_jax.training.initial_state import digest_of
from pol_jax.training.inputs import Changed, StepInput, plan, step_inputs
from pol_jax.training.keys import step_keys
from pol_jax.training.opened_records import CommittedRecord, OpenedRecords
from pol_jax.training.states import HostState, Layout, little_endian
from pol_jax.verifying.agreement import check_agreement

WHERE = "opening"


@dataclass(frozen=True)
class Opened:
    """An opening whose parts hold against the claim.

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
        """Leaves of an opened state."""
        return self.states[step].leaves

    def inputs(self, span: Span) -> list[StepInput]:
        """Of the steps of a span whose records were opened."""
        return list(step_inputs(self.commitment, self.records, span.start + 1, span.stop + 1, self.changes))

    def changes(self, step: int) -> Changed:
        """What an intervention after a step put into the state."""
        return self.changed.get(step, {})

    def rows_of(self, span: Span) -> list[Row]:
        """Of the steps of a span."""
        return [self.rows[step] for step in span.steps]


def check_opened_commitment(opening: Opening, claim: Claim, limits: Limits) -> tuple[Commitment, Program]:
    """Stage 3: the commitment is the claimed one, the programs are the committed ones."""
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
    """Load the programs, if they are the committed ones and their state is within the limit. The claim isn't needed."""
    if nbytes(commitment.state) > limits.state_bytes:
        raise ProofError(WHERE, f"commitment: state: more than the limit of {limits.state_bytes} bytes")
    artifacts = Artifacts(opening.init, opening.step)
    if artifact_digests(artifacts) != (commitment.program.init, commitment.program.step):
        raise ProofError(WHERE, "init or step: is not the committed program: its digest differs")
    return load_program(artifacts, Signature.from_commitment(commitment))


def check_opened_rows(opening: Opening, commitment: Commitment, claim: Claim) -> dict[int, Row]:
    """Stage 4: every row is in the claimed ledger, and has what a row of its step must have."""
    rows: dict[int, Row] = {}
    for where, opened, row in _decoded_rows(opening, commitment.row_layout):
        _check_in_ledger(where, opened, row, claim)
        rows[row.step] = row
        if (row.state is not None) != commitment.schedule.has_witness(row.step, claim.steps):
            raise ProofError(WHERE, f"{where}: state_digest {'is missing' if row.state is None else 'must be missing'}")
        check_metrics(where, row)
    if claim.steps in rows and (rows[claim.steps].state or b"").hex() != claim.final_state:
        raise ProofError(WHERE, f"the claim's final_state is not the digest in row {claim.steps}")
    return rows


def decode_opened_rows(opening: Opening, layout: RowLayout) -> dict[int, Row]:
    """Decode the rows, by step, if they ascend. This doesn't check that they are in a ledger: that takes the claim."""
    return {row.step: row for _, _, row in _decoded_rows(opening, layout)}


def check_metrics(where: str, row: Row) -> None:
    """Refuse a row without the metrics of its step; row 0 has none."""
    if problem := row.metrics_problem:
        raise ProofError(WHERE, f"{where}: {problem}")


def check_opened_inputs(
    opening: Opening, commitment: Commitment, rows: Mapping[int, Row], executed: Sequence[Span]
) -> OpenedRecords:
    """Stage 5: keys and indices are what the commitment gives; the records are committed, and those of the batches.

    Args:
        opening: with the records.
        commitment: of the claim.
        rows: that passed stage 4.
        executed: spans that are to be replayed; the rows of their steps must be there.
    """
    records = _committed_records(opening, commitment)
    for step, row in rows.items():
        _check_row(commitment, step, row)
    for step in sorted({step for span in executed for step in span.steps}):
        digests = [_digest(records, int(index), step) for index in rows[step].indices]
        if rows[step].batch != batch_digest(digests):
            raise ProofError(WHERE, f"row {step}: batch_digest is not that of its records")
    return records


def check_opened_decisions(opening: Opening, program: Program, rows: Mapping[int, Row]) -> dict[int, EntriesBySite]:
    """Stage 5: decisions are of opened steps, and of sites and elements that the program has.

    Those of a program that can't be followed here are not used, and there is nothing to hold them against.
    """
    for each in opening.decisions:
        if each.step not in rows:
            raise ProofError(WHERE, f"decisions: step {each.step}: its row was not opened")
    if not opening.decisions:
        return {}
    try:
        sites = program.observe(1).sites
    except BackendError:
        return {}
    kinds = [SiteKind(each.dtype, each.size, each.nested) for each in sites]
    return {each.step: entries_by_site(each, kinds, WHERE) for each in opening.decisions}


def check_opened_states(opening: Opening, commitment: Commitment, rows: Mapping[int, Row]) -> dict[int, HostState]:
    """Stage 6: every state has the digest that the ledger has."""
    layout, states = Layout(commitment.state), dict[int, HostState]()
    for at, opened in enumerate(opening.states):
        where = f"states[{at}]"
        if states and opened.step <= max(states):
            raise ProofError(WHERE, f"{where}: step {opened.step} is not after the one before")
        state = layout.gather(_arrays(where, commitment.state, opened.leaves))
        if opened.step not in rows or state.digest() != rows[opened.step].state:
            raise ProofError(WHERE, f"{where}: is not the state in row {opened.step} of the ledger")
        states[opened.step] = state
    return states


def check_interventions(
    opening: Opening, commitment: Commitment, claim: Claim, executed: Sequence[Span]
) -> dict[int, Changed]:
    """Stage 6: each intervention is one of the claim, and those before the steps of the spans are there."""
    claimed, found = {each.after: each for each in claim.interventions}, dict[int, Changed]()
    for at, opened in enumerate(opening.interventions):
        where = f"interventions[{at}]"
        if found and opened.after <= max(found):
            raise ProofError(WHERE, f"{where}: step {opened.after} is not after the one before")
        if opened.after not in claimed:
            raise ProofError(WHERE, f"{where}: the claim has none after step {opened.after}")
        named = set(claimed[opened.after].leaves)
        places = [place for place, leaf in enumerate(commitment.state) if leaf.path in named]
        spec = tuple(commitment.state[place] for place in places)
        leaves = _arrays(where, spec, opened.leaves)
        if digest_of(spec, leaves) != claimed[opened.after].digest:
            raise ProofError(WHERE, f"{where}: is not what the claim names")
        found[opened.after] = dict(zip(places, leaves, strict=True))
    for step in sorted({step - 1 for span in executed for step in span.steps} & claimed.keys() - found.keys()):
        raise ProofError(WHERE, f"interventions: the one after step {step} is missing")
    return found


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


def _decoded_rows(opening: Opening, layout: RowLayout) -> Iterator[tuple[str, OpenedRow, Row]]:
    """Yield each row with its place, decoded: one at a time, so that the first that is wrong in any way is named."""
    before = -1
    for at, opened in enumerate(opening.rows):
        where, row = f"rows[{at}]", decode_row(opened.row, layout)
        if row is None:
            raise ProofError(WHERE, f"{where}: is no row")
        if row.step <= before:
            raise ProofError(WHERE, f"{where}: step {row.step} is not after the one before")
        before = row.step
        yield where, opened, row


def _check_in_ledger(where: str, opened: OpenedRow, row: Row, claim: Claim) -> None:
    if row.step > claim.steps:
        raise ProofError(WHERE, f"{where}: step {row.step}: the run has steps 0 to {claim.steps}")
    _check_included(where, row.digest(), row.step, claim.steps + 1, opened.path, claim.ledger_root)


def _check_included(where: str, leaf: Digest, index: int, size: int, path: Sequence[Digest], root: str) -> None:
    try:
        found = merkle.root_from_proof(leaf, index, size, path)
    except ValueError as error:
        raise ProofError(WHERE, f"{where}: path: {error}") from None
    if found.hex() != root:
        raise ProofError(WHERE, f"{where}: is not under the root: its inclusion proof gives another one")


def _check_row(commitment: Commitment, step: int, row: Row) -> None:
    if step == 0:
        key, indices = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0], np.empty(0, np.uint64)
        if row.batch != batch_digest([]):
            raise ProofError(WHERE, "row 0: batch_digest is not that of no records")
    elif len(row.indices) != commitment.schedule.batch_size:
        raise ProofError(WHERE, f"row {step}: has {len(row.indices)} indices, expected a batch")
    else:
        ((_, key, indices),) = plan(commitment, step, step + 1)
    if row.key != key.astype("<u4").tobytes():
        raise ProofError(WHERE, f"row {step}: key is not the one that the commitment gives")
    if not np.array_equal(row.indices, indices):
        raise ProofError(WHERE, f"row {step}: indices are not those that the commitment gives")


def _committed_records(opening: Opening, commitment: Commitment) -> OpenedRecords:
    """Records by their places; each under the dataset's root."""
    found: dict[int, CommittedRecord] = {}
    data = commitment.data
    for at, opened in enumerate(opening.records):
        where = f"records[{at}]"
        if found and opened.index <= max(found):
            raise ProofError(WHERE, f"{where}: index {opened.index} is not after the one before")
        if opened.index >= data.records:
            raise ProofError(WHERE, f"{where}: index {opened.index}: the source has {data.records} records")
        if (opened.salt is not None) != data.salted:
            raise ProofError(WHERE, f"{where}: salt {'is missing' if data.salted else 'must be missing'}")
        leaves = _arrays(where, data.record, opened.leaves)
        row = np.frombuffer(b"".join(opened.leaves), np.uint8)[None]
        (digest,) = record_digests(row, None if opened.salt is None else [opened.salt])
        _check_included(where, digest, opened.index, data.records, opened.path, data.root)
        found[opened.index] = CommittedRecord(tuple(leaves), digest, opened.salt)
    return OpenedRecords(data, found)


def _digest(records: OpenedRecords, index: int, step: int) -> Digest:
    if index not in records:
        raise ProofError(WHERE, f"records: {index}, of the batch of step {step}, is missing")
    return records.digest(index)


def _arrays(where: str, spec: Iterable[ArraySpec], contents: Sequence[bytes]) -> list[np.ndarray]:
    expected = tuple(spec)
    if [len(content) for content in contents] != [leaf.nbytes for leaf in expected]:
        raise ProofError(WHERE, f"{where}: leaves have other sizes than the commitment says")
    arrays = [
        little_endian(np.frombuffer(content, DTYPES[leaf.dtype])).reshape(leaf.shape)
        for content, leaf in zip(contents, expected, strict=True)
    ]
    if any(map(has_odd_bool, arrays)):
        raise ProofError(WHERE, f"{where}: a bool is neither 0 nor 1")
    return arrays
