"""What is replayed: the states, inputs and program of an opening, checked against each other.

The claim is not needed, and nothing is proved by this: a measurement is no verdict. But a file that was damaged on its
way would give wrong errors, and a program may be anyone's; so every state and record must be what the row of its step
says, and the program must be one that may run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pol_jax.errors import ProofError, UsageError
from pol_jax.program.artifact import Artifacts, Signature, artifact_digests, load_program
from pol_jax.protocol.commitment import Commitment, nbytes
from pol_jax.protocol.encoding import DIGEST_BYTES, batch_digest, record_digests, row_bytes
from pol_jax.protocol.keys import KEY_WORDS, MAX_STEPS
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import DTYPES, ArraySpec
from pol_jax.training.inputs import StepInput, plan, step_inputs
from pol_jax.training.keys import step_keys
from pol_jax.training.opened_records import CommittedRecord, OpenedRecords
from pol_jax.training.states import HostState, Layout, little_endian
from pol_jax.verifying.compilations import DEFAULT, variants

_WHERE = "opening"


@dataclass(frozen=True)
class Material:
    """What is replayed.

    Attributes:
        claim: digest of the claim that the opening names, in hex.
        commitment: of the run.
        program: the artifact of the step.
        states: committed states, by step.
        inputs: of the steps of all spans, by step.
        losses: that the ledger has of these steps.
        spans: the steps; each is one, or the fewest that have committed states at both ends.
        segments: runs of two or more spans, each beginning where the one before ends.
    """

    claim: str
    commitment: Commitment
    program: bytes
    states: Mapping[int, HostState]
    inputs: Mapping[int, StepInput]
    losses: Mapping[int, np.float32]
    spans: tuple[Span, ...]
    segments: tuple[tuple[Span, ...], ...]


def read_material(opening: Opening, steps: Iterable[int] | None = None, limits: Limits | None = None) -> Material:
    """What an opening has to replay.

    Args:
        opening: from anywhere.
        steps: only these; None for all that were opened.
        limits: bounds on what is read.

    Raises:
        UsageError: a step that is not in the opening.
        ProofError: the opening contradicts itself, or its program may not run.
    """
    commitment = Commitment.parse(opening.commitment)
    if nbytes(commitment.state) > (limits or Limits()).state_bytes:
        raise ProofError(_WHERE, "commitment: state: has more bytes than the limit")
    artifacts, signature = Artifacts(opening.init, opening.step), Signature.from_commitment(commitment)
    if artifact_digests(artifacts) != (commitment.program.init, commitment.program.step):
        raise ProofError(_WHERE, "init or step: is not the committed program: its digest differs")
    load_program(artifacts, signature)
    layout = Layout(commitment.state)
    states = {
        each.step: layout.gather(_arrays(f"state {each.step}", commitment.state, each.leaves))
        for each in opening.states
    }
    records = OpenedRecords(commitment.data, dict(_records(opening, commitment)))
    rows = {int.from_bytes(each.row[:8], "little"): each.row for each in opening.rows}
    if rows and max(rows) > MAX_STEPS:
        raise ProofError(_WHERE, f"row {max(rows)}: no run has more than {MAX_STEPS} steps")
    every = [Span(a, b) for a, b in pairwise(sorted(states)) if b - a < len(rows) and {*range(a, b + 1)} <= rows.keys()]
    spans = tuple(each for each in every if _is_executable(commitment, records, each))
    for step, row in rows.items():
        executed = any(step in span.steps for span in spans)
        _check_row(commitment, row, step, states.get(step), records if executed else None)
    spans = spans if steps is None else _chosen(spans, sorted(set(steps)))
    if not spans:
        raise UsageError("the opening has no step with the states before and after it, and its records")
    return Material(
        claim=opening.claim.hex(),
        commitment=commitment,
        program=opening.step,
        states=states,
        inputs={
            each.step: each
            for span in spans
            for each in step_inputs(commitment, records, span.start + 1, span.stop + 1)
        },
        losses={step: np.frombuffer(rows[step][-4:], "<f4")[0] for span in spans for step in span.steps},
        spans=spans,
        segments=tuple(_segments(spans)),
    )


def work(material: Material) -> bytes:
    """The file that `pol_jax.backends.worker` reads: arrays by name, in numpy's format, with a plan in JSON."""
    commitment, batch_size = material.commitment, material.commitment.schedule.batch_size
    signature = Signature.from_commitment(commitment)
    plan = {
        "state": [(leaf.dtype, leaf.shape) for leaf in commitment.state],
        "batch": [(leaf.dtype, (batch_size, *leaf.shape)) for leaf in commitment.data.record],
        "key_words": KEY_WORDS[commitment.schedule.prng],
        "loss": signature.metrics.index("loss"),
        "spans": [(span.start, span.stop) for span in material.spans],
        "segments": [[(span.start, span.stop) for span in segment] for segment in material.segments],
        "variants": {
            platform: {each.name: dict(each.options) for each in variants(platform) if each is not DEFAULT}
            for platform in ("cpu", "gpu", "tpu")
        },
    }
    arrays = {
        "plan": np.frombuffer(json.dumps(plan).encode(), np.uint8),
        "program": np.frombuffer(material.program, np.uint8),
    }
    for step in {step for span in material.spans for step in (span.start, span.stop)}:
        arrays[f"state/{step}"] = as_bytes(material.states[step].leaves)
    for span in material.spans:
        arrays[f"loss/{span.stop}"] = as_bytes([material.losses[step] for step in span.steps])
    for step, each in material.inputs.items():
        arrays[f"key/{step}"] = each.key
        arrays[f"batch/{step}"] = as_bytes(each.batch)
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def as_bytes(leaves: Sequence[np.ndarray | np.float32]) -> np.ndarray:
    """The bytes of arrays, one after the other."""
    return np.frombuffer(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in leaves), np.uint8)


def as_state(layout: Layout, content: np.ndarray) -> HostState:
    """The inverse of `as_bytes` for a state.

    Raises:
        ValueError: other bytes than a state has.
    """
    if content.dtype != np.uint8 or content.shape != (layout.nbytes,):
        raise ValueError(f"a state has {layout.nbytes} bytes, got {content.dtype}{list(content.shape)}")
    arrays, at = list[np.ndarray](), 0
    for leaf in layout.spec:
        arrays.append(np.frombuffer(content[at : at + leaf.nbytes].tobytes(), DTYPES[leaf.dtype]).reshape(leaf.shape))
        at += leaf.nbytes
    return layout.gather(arrays)


def _check_row(
    commitment: Commitment, row: bytes, step: int, state: HostState | None, records: OpenedRecords | None
) -> None:
    """A row must be what its step's key, indices, records and state give; no more is in it but the loss.

    The batch of a step that is not executed is not opened: its digest is taken from the row.
    """
    if step == 0:
        key, indices = step_keys(commitment.digest(), commitment.schedule.prng, 0, 1)[0], np.empty(0, np.uint64)
    else:
        ((_, key, indices),) = plan(commitment, step, step + 1)
    head = 8 + 8 + key.nbytes + 8 + indices.nbytes
    batch = row[head : head + DIGEST_BYTES]
    if records is not None:
        batch = batch_digest([records.digest(int(index)) for index in indices])
    digest, loss = None if state is None else state.digest(), None if step == 0 else row[-4:]
    if row != row_bytes(step, key.astype("<u4").tobytes(), indices, batch, digest, loss):
        raise ProofError(_WHERE, f"row {step}: is not what the opened state, records, key and order give; damaged?")


def _records(opening: Opening, commitment: Commitment) -> Iterable[tuple[int, CommittedRecord]]:
    for each in opening.records:
        leaves = _arrays(f"record {each.index}", commitment.data.record, each.leaves)
        row = np.frombuffer(b"".join(each.leaves), np.uint8)[None]
        (digest,) = record_digests(row, None if each.salt is None else [each.salt])
        yield each.index, CommittedRecord(tuple(leaves), digest, each.salt)


def _is_executable(commitment: Commitment, records: OpenedRecords, span: Span) -> bool:
    """Whether the records of all its steps were opened."""
    planned = plan(commitment, span.start + 1, span.stop + 1)
    return all(int(index) in records for _, _, indices in planned for index in indices)


def _chosen(spans: Sequence[Span], steps: Sequence[int]) -> tuple[Span, ...]:
    for step in steps:
        if not any(step in span.steps for span in spans):
            raise UsageError(f"step {step}: is not in the opening")
    return tuple(span for span in spans if any(step in span.steps for step in steps))


def _segments(spans: Sequence[Span]) -> Iterable[tuple[Span, ...]]:
    """The longest runs of spans that follow each other."""
    chain = list[Span]()
    for span in (*spans, None):
        if chain and (span is None or span.start != chain[-1].stop):
            if len(chain) > 1:
                yield tuple(chain)
            chain = []
        if span is not None:
            chain.append(span)


def _arrays(what: str, spec: Sequence[ArraySpec], contents: Sequence[bytes]) -> list[np.ndarray]:
    if [len(content) for content in contents] != [leaf.nbytes for leaf in spec]:
        raise ProofError(_WHERE, f"{what}: leaves have other sizes than the commitment says")
    return [
        little_endian(np.frombuffer(content, DTYPES[leaf.dtype])).reshape(leaf.shape)
        for content, leaf in zip(contents, spec, strict=True)
    ]
