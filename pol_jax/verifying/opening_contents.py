"""The arrays of an opening, records, states and interventions, have the digests that its rows and claim name.

What breaks a rule is a `ProofError`; so it is in all checks of an opening (docs/protocol.md, section 14).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import Digest, batch_digest, record_digests
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import DTYPES, ArraySpec, has_odd_bool
from pol_jax.training.initial_state import digest_of
from pol_jax.training.inputs import Changed
from pol_jax.training.opened_records import CommittedRecord, OpenedRecords
from pol_jax.training.states import HostState, Layout, little_endian
from pol_jax.verifying.opening_rows import WHERE, check_included, check_row


def check_opened_inputs(
    opening: Opening, commitment: Commitment, rows: Mapping[int, Row], executed: Sequence[Span]
) -> OpenedRecords:
    """Check stage 5: keys and indices are the commitment's; records are committed, and those of the batches.

    Args:
        opening: with the records.
        commitment: of the claim.
        rows: that passed stage 4.
        executed: spans that are to be replayed; the rows of their steps must be there.
    """
    records = _committed_records(opening, commitment)
    for step, row in rows.items():
        check_row(commitment, step, row)
    # Only these are replayed, so only their records must be there: an opening may hold more rows than that.
    for step in sorted({step for span in executed for step in span.steps}):
        digests = [_digest(records, int(index), step) for index in rows[step].indices]
        if rows[step].batch != batch_digest(digests):
            raise ProofError(WHERE, f"row {step}: batch_digest is not that of its records")
    return records


def check_opened_states(opening: Opening, commitment: Commitment, rows: Mapping[int, Row]) -> dict[int, HostState]:
    """Check stage 6: every state has the digest that the ledger has."""
    layout, states = Layout(commitment.state), dict[int, HostState]()
    for at, opened in enumerate(opening.states):
        where = f"states[{at}]"
        if states and opened.step <= max(states):
            raise ProofError(WHERE, f"{where}: step {opened.step} is not after the one before")
        state = layout.gather(opened_arrays(where, commitment.state, opened.leaves))
        if opened.step not in rows or state.digest() != rows[opened.step].state:
            raise ProofError(WHERE, f"{where}: is not the state in row {opened.step} of the ledger")
        states[opened.step] = state
    return states


def check_interventions(
    opening: Opening, commitment: Commitment, claim: Claim, executed: Sequence[Span]
) -> dict[int, Changed]:
    """Check stage 6: each intervention is one of the claim, and those before the steps of the spans are there."""
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
        leaves = opened_arrays(where, spec, opened.leaves)
        if digest_of(spec, leaves) != claimed[opened.after].digest:
            raise ProofError(WHERE, f"{where}: is not what the claim names")
        found[opened.after] = dict(zip(places, leaves, strict=True))
    # Without it, the replay would start from a state that the claim says was changed.
    for step in sorted({step - 1 for span in executed for step in span.steps} & claimed.keys() - found.keys()):
        raise ProofError(WHERE, f"interventions: the one after step {step} is missing")
    return found


def _committed_records(opening: Opening, commitment: Commitment) -> OpenedRecords:
    """Return the records by their places, once each is found under the dataset's root."""
    found: dict[int, CommittedRecord] = {}
    data = commitment.data
    for at, opened in enumerate(opening.records):
        where = f"records[{at}]"
        # Ascending, so that nothing occurs twice and an opening has one form only (section 14).
        if found and opened.index <= max(found):
            raise ProofError(WHERE, f"{where}: index {opened.index} is not after the one before")
        if opened.index >= data.records:
            raise ProofError(WHERE, f"{where}: index {opened.index}: the source has {data.records} records")
        # Public and salted records have digests of different contexts (section 3); the commitment says which it is.
        if (opened.salt is not None) != data.salted:
            raise ProofError(WHERE, f"{where}: salt {'is missing' if data.salted else 'must be missing'}")
        leaves = opened_arrays(where, data.record, opened.leaves)
        row = np.frombuffer(b"".join(opened.leaves), np.uint8)[None]
        (digest,) = record_digests(row, None if opened.salt is None else [opened.salt])
        check_included(where, digest, opened.index, data.records, opened.path, data.root)
        found[opened.index] = CommittedRecord(tuple(leaves), digest, opened.salt)
    return OpenedRecords(data, found)


def _digest(records: OpenedRecords, index: int, step: int) -> Digest:
    if index not in records:
        raise ProofError(WHERE, f"records: {index}, of the batch of step {step}, is missing")
    return records.digest(index)


def opened_arrays(where: str, spec: Iterable[ArraySpec], contents: Sequence[bytes]) -> list[np.ndarray]:
    """Return the arrays whose bytes an opening holds.

    Raises:
        ProofError: the bytes are more or fewer than the committed shapes have, or a bool is neither 0 nor 1.
    """
    expected = tuple(spec)
    if [len(content) for content in contents] != [leaf.nbytes for leaf in expected]:
        raise ProofError(WHERE, f"{where}: leaves have other sizes than the commitment says")
    arrays = [
        little_endian(np.frombuffer(content, DTYPES[leaf.dtype])).reshape(leaf.shape)
        for content, leaf in zip(contents, expected, strict=True)
    ]
    # The digest would be that of the byte, while a program only knows true and false: two digests for one value.
    if any(map(has_odd_bool, arrays)):
        raise ProofError(WHERE, f"{where}: a bool is neither 0 nor 1")
    return arrays
