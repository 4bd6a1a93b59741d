"""The prover opens challenged steps (docs/protocol.md, section 14).

The states are computed again from checkpoints and compared with the ledger; records and rows get inclusion proofs.
Every opening also shows where the run begins and ends: without that, no verifier accepts anything. What this process
sees to be false is not opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pol_jax.errors import ProofError, UsageError
from pol_jax.program.artifact import INIT_FILE, STEP_FILE
from pol_jax.progress import Progress, Silent
from pol_jax.protocol import claim as claims
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.decisions import StepDecisions
from pol_jax.protocol.encoding import DIGEST_BYTES, record_digests
from pol_jax.protocol.opening import OpenedIntervention, OpenedRecord, OpenedRow, OpenedState, Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span, witnessed_spans
from pol_jax.proving.choices import check_secret
from pol_jax.proving.decision_log import DecisionLog
from pol_jax.proving.regeneration import regenerate
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.proof import FinishedProof, Proof
from pol_jax.training.inputs import step_inputs
from pol_jax.training.records import record_rows, salts_of, take
from pol_jax.training.states import HostState, little_endian
from pol_jax.training.task import Source


def open_steps(
    proof: Proof,
    source: Source,
    steps: Iterable[int],
    *,
    secret: bytes | None = None,
    progress: Progress | None = None,
    decisions: bool = True,
) -> Opening:
    """Return an opening: everything that a verifier needs to replay ``steps`` of a finished proof.

    It has the rows and states of steps 0 and T too, whatever steps are named.

    Args:
        proof: a finished proof, from whose checkpoints the states are computed again.
        source: the training records.
        steps: the challenged steps, 1 to T.
        secret: 32 bytes that salt the records of a private data set.
        progress: told of the steps that are computed again.
        decisions: whether to write what the operands of decisions were near a tie, for verifiers with another backend.

    Raises:
        UsageError: the run is not finished, has no such step, or no step is named.
        BackendError: this machine can't regenerate the states: the initial one or a step differs from the ledger.
        ProofError: the claim is of another commitment or ledger, or ``init`` gives another initial state.
        DataError: the records of the source are not the committed ones.
    """
    proof = proof.finished()
    check_secret(secret, proof.commitment.data)
    wanted = witnessed_spans(proof.commitment.schedule, steps, proof.claim.steps)
    # An opening of the two ends alone would pass every check, and show no step.
    if not wanted:
        raise UsageError("steps: an empty list would open nothing; name at least one step")
    rows = opened_rows(proof, wanted)
    # Before anything is executed: an opening of a claim that is not of these files could only be rejected (section 14).
    _check_claim(proof, proof.claim, rows)
    states = regenerate(proof, source, wanted, secret, progress or Silent())
    return opening_of(proof, source, rows, states, secret=secret, progress=progress, decisions=decisions)


@dataclass(frozen=True)
class SpanRows:
    """Span rows are the rows of a ledger that open spans, and what shows that they are in it.

    Attributes:
        spans: that are opened.
        by_step: the rows of the spans, that of the first state of each included, and those of steps 0 and T.
        digests: of all rows of the ledger.
    """

    spans: Sequence[Span]
    by_step: Mapping[int, Row]
    digests: Sequence[bytes]


def opening_of(
    proof: FinishedProof,
    source: Source,
    rows: SpanRows,
    states: Mapping[int, HostState],
    *,
    secret: bytes | None = None,
    progress: Progress | None = None,
    decisions: bool = True,
) -> Opening:
    """Return the opening that has these rows and states, whatever a replay would give; nothing is compared.

    Args:
        proof: a finished proof.
        source: the training records.
        rows: of the spans that are opened (`opened_rows`).
        states: of steps 0 and T and of both ends of each span.
        secret: 32 bytes that salt the records of a private data set.
        progress: told of the decisions that are written.
        decisions: whether to write what the operands of decisions were near a tie.
    """
    # Each record once, however many of the opened steps received it.
    steps = {step for span in rows.spans for step in span.steps}
    indices = sorted({int(index) for step in steps for index in rows.by_step[step].indices})
    inexact = proof.commitment.arithmetic is None  # exact programs decide alike on every backend
    return Opening(
        format=proof.claim.format,
        claim=proof.claim.digest(),
        commitment=proof.commitment.encode(),
        init=read_bounded(proof.root, INIT_FILE, proof.limits),
        step=read_bounded(proof.root, STEP_FILE, proof.limits),
        rows=tuple(
            OpenedRow(row.encode(), tuple(path))
            for row, path in zip(rows.by_step.values(), merkle.proofs(rows.digests, rows.by_step), strict=True)
        ),
        states=tuple(OpenedState(step, _contents(states[step].leaves)) for step in sorted(states)),
        records=_records(proof, source, indices, secret),
        interventions=_interventions(proof, rows.spans),
        decisions=_decisions(proof, source, rows.spans, states, progress or Silent()) if decisions and inexact else (),
    )


def _interventions(proof: FinishedProof, wanted: Sequence[Span]) -> tuple[OpenedIntervention, ...]:
    """Return those after which a step of a span begins."""
    before = sorted({step - 1 for span in wanted for step in span.steps})
    changes = ((step, proof.changes(step)) for step in before)
    return tuple(
        OpenedIntervention(step, _contents([changed[place] for place in sorted(changed)]))
        for step, changed in changes
        if changed
    )


def _decisions(
    proof: FinishedProof, source: Source, wanted: Sequence[Span], states: Mapping[int, HostState], progress: Progress
) -> tuple[StepDecisions, ...]:
    """Return what the operands of decisions were near a tie, in the steps of each span."""
    log, found = DecisionLog(proof.program()), list[StepDecisions]()
    progress.begin("writing decisions", len(wanted))
    try:
        for done, span in enumerate(wanted, 1):
            inputs = list(step_inputs(proof.commitment, source, span.start + 1, span.stop + 1, proof.changes))
            # With the state after the span: it shows what was decided in training, where this program has other last
            # bits.
            found += log.write(states[span.start].leaves, states[span.stop].leaves, inputs)
            progress.at(done)
    finally:
        progress.end()
    return tuple(found)


def _check_claim(proof: FinishedProof, claim: Claim, rows: SpanRows) -> None:
    """Refuse to open a claim that the proof itself shows to be false."""
    last = rows.by_step[claim.steps]
    if claim.commitment != proof.commitment.digest().hex():
        raise ProofError(claims.FILE, "commitment: is not the digest of the proof's commitment; nothing is opened")
    if claim.ledger_root != merkle.root(rows.digests).hex():
        raise ProofError(claims.FILE, "ledger_root: is not the root of the proof's ledger; nothing is opened")
    if claim.final_state != (last.state or b"").hex():
        raise ProofError(
            claims.FILE, f"final_state: is not the state digest in row {last.step} of the ledger; nothing is opened"
        )


def opened_rows(proof: FinishedProof, wanted: Sequence[Span]) -> SpanRows:
    """Read all rows of a proof, and return those that open these spans."""
    kept, digests = dict[int, Row](), list[bytes]()
    # Both ends, whatever was asked for: without them nothing is accepted (section 14).
    steps = {0, proof.segments.steps} | {step for span in wanted for step in (span.start, *span.steps)}
    for row in proof.rows():
        digests.append(row.digest())
        if row.step in steps:
            kept[row.step] = row
    return SpanRows(wanted, kept, digests)


def _records(
    proof: FinishedProof, source: Source, indices: Sequence[int], secret: bytes | None
) -> tuple[OpenedRecord, ...]:
    batch = take(source, proof.commitment.data.record, np.array(indices, np.int64))
    content = proof.records().tobytes()
    leaves = [content[begin : begin + DIGEST_BYTES] for begin in range(0, len(content), DIGEST_BYTES)]
    salts: Sequence[bytes | None] = [None] * len(indices)
    if secret is not None:
        salts = salts_of(secret, indices, record_digests(record_rows(batch)), proof.commitment.format)
    return tuple(
        OpenedRecord(
            index=index,
            salt=salts[at],
            leaves=_contents([leaf[at, ...] for leaf in batch]),
            path=tuple(path),
        )
        for at, (index, path) in enumerate(zip(indices, merkle.proofs(leaves, indices), strict=True))
    )


def _contents(arrays: Sequence[np.ndarray]) -> tuple[bytes, ...]:
    """Return the array bytes (section 1) of each array."""
    return tuple(little_endian(array).tobytes() for array in arrays)
