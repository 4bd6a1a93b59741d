"""Arrays of an opening have the committed shapes, and the digests that rows and claim name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from made_documents import made_claim, made_commitment

from pol_jax.errors import ProofError
from pol_jax.protocol import merkle
from pol_jax.protocol.claim import Claim, Intervention
from pol_jax.protocol.encoding import FORMAT, batch_digest, record_digests
from pol_jax.protocol.opening import OpenedIntervention, OpenedRecord, OpenedState, Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import ArraySpec, LeafSpec
from pol_jax.training.initial_state import digest_of
from pol_jax.training.inputs import plan
from pol_jax.training.states import Layout
from pol_jax.verifying.opening_contents import (
    check_interventions,
    check_opened_inputs,
    check_opened_states,
    opened_arrays,
)

SPEC = (LeafSpec("/a", "float32", (2,), (1,), None), LeafSpec("/b", "bool", (3,), (1,), None))
CONTENTS = (np.array([1, -2], "<f4").tobytes(), b"\0\1\0")
RECORD = (ArraySpec("/x", "uint8", (1,)),)
SOURCE = [bytes([at]) for at in range(3)]
DIGESTS = record_digests(np.frombuffer(b"".join(SOURCE), np.uint8)[:, None], None)
BASE = made_commitment()
COMMITMENT = msgspec.structs.replace(
    BASE,
    state=SPEC,
    data=msgspec.structs.replace(BASE.data, record=RECORD, records=3, root=merkle.root(DIGESTS).hex()),
    schedule=msgspec.structs.replace(BASE.schedule, batch_size=2),
)


def opening(**parts: Any) -> Opening:
    return Opening(FORMAT, bytes(32), b"", b"", b"", (), parts.pop("states", ()), parts.pop("records", ()), **parts)


def test_arrays_have_the_committed_shapes_and_values() -> None:
    first, second = opened_arrays("it", SPEC, CONTENTS)
    assert (first.tolist(), second.tolist()) == ([1, -2], [False, True, False])
    for contents, words in (
        ((CONTENTS[0][:-1], CONTENTS[1]), "other sizes"),
        (CONTENTS[:1], "other sizes"),
        ((CONTENTS[0], b"\0\1\2"), "a bool is neither 0 nor 1"),
    ):
        with pytest.raises(ProofError, match=f"it: .*{words}"):
            opened_arrays("it", SPEC, contents)


def row(step: int, **fields: Any) -> Row:
    """The row of a step, as the commitment wants it, in which the state is that of `CONTENTS`."""
    ((_, key, indices),) = plan(COMMITMENT, step, step + 1)
    state = Layout(SPEC).gather(opened_arrays("it", SPEC, CONTENTS)).digest()
    batch = batch_digest(DIGESTS[int(index)] for index in indices)
    layout = COMMITMENT.row_layout
    return replace(Row(step, key.astype("<u4").tobytes(), indices, batch, state, bytes(8), layout), **fields)


def test_states_ascend_and_are_those_of_their_rows() -> None:
    made = opening(states=(OpenedState(1, CONTENTS), OpenedState(2, CONTENTS)))
    rows = {1: row(1), 2: row(2)}
    assert list(check_opened_states(made, COMMITMENT, rows)) == [1, 2]
    for broken, known, words in (
        (opening(states=made.states[::-1]), rows, "step 1 is not after the one before"),
        (made, {1: rows[1]}, r"states\[1\]: is not the state in row 2"),
        (made, rows | {1: row(1, state=bytes(32))}, r"states\[0\]: is not the state in row 1"),
    ):
        with pytest.raises(ProofError, match=words):
            check_opened_states(broken, COMMITMENT, known)


def record(index: int, content: bytes | None = None, salt: bytes | None = None) -> OpenedRecord:
    return OpenedRecord(index, salt, (content or SOURCE[index],), tuple(merkle.proof(DIGESTS, index)))


EVERY = tuple(map(record, range(3)))


def test_records_are_committed_and_those_of_the_batches() -> None:
    found = check_opened_inputs(opening(records=EVERY), COMMITMENT, {1: row(1)}, [Span(0, 1)])
    assert [found.digest(index) for index in range(3)] == list(DIGESTS)
    needed = sorted(int(index) for index in row(1).indices)
    for records, words in (
        (EVERY[::-1], "index 1 is not after the one before"),
        ((record(0, b"\x09"), *EVERY[1:]), "is not under the root"),
        ((record(0, salt=bytes(32)), *EVERY[1:]), "salt must be missing"),
        (tuple(each for each in EVERY if each.index != needed[0]), f"{needed[0]}, of the batch of step 1, is missing"),
    ):
        with pytest.raises(ProofError, match=words):
            check_opened_inputs(opening(records=records), COMMITMENT, {1: row(1)}, [Span(0, 1)])
    with pytest.raises(ProofError, match="row 1: batch_digest is not that of its records"):
        check_opened_inputs(opening(records=EVERY), COMMITMENT, {1: row(1, batch=bytes(32))}, [Span(0, 1)])


def given(after: int, digest: str | None = None) -> Claim:
    """A claim of an intervention on the first leaf."""
    true = digest_of(SPEC[:1], opened_arrays("it", SPEC[:1], CONTENTS[:1]))
    return made_claim(interventions=(Intervention(after, ("/a",), digest or true, "why"),))


def test_interventions_are_the_claim_s() -> None:
    made = opening(interventions=(OpenedIntervention(3, CONTENTS[:1]),))
    found = check_interventions(made, COMMITMENT, given(3), [Span(3, 4)])
    assert {step: {at: leaf.tolist() for at, leaf in each.items()} for step, each in found.items()} == {3: {0: [1, -2]}}
    assert check_interventions(opening(), COMMITMENT, given(3), [Span(4, 5)]) == {}
    twice = opening(interventions=made.interventions * 2)
    for broken, claim, words in (
        (made, given(4), "the claim has none after step 3"),
        (made, given(3, "0" * 64), "is not what the claim names"),
        (twice, given(3), "step 3 is not after the one before"),
        (opening(), given(3), "interventions: the one after step 3 is missing"),
    ):
        with pytest.raises(ProofError, match=words):
            check_interventions(broken, COMMITMENT, claim, [Span(3, 4)])
