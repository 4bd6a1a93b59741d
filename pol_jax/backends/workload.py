"""Under each backend, the steps of an opening are replayed, with their states, inputs and program.

The claim is not needed, and nothing is proved by this: a measurement is no verdict. But a file that was damaged on its
way would give wrong errors, and a program may be anyone's. So the opening is checked with the code of its verification
(stages 3 to 6), without what takes a claim.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pol_jax.errors import ProofError, UsageError
from pol_jax.judging.leaf_distances import PERTURBED_PLACES
from pol_jax.program.signature import Signature
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.keys import KEY_WORDS, MAX_STEPS
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import DTYPES
from pol_jax.training.inputs import StepInput, plan
from pol_jax.training.states import HostState, Layout
from pol_jax.verifying.compilations import DEFAULT, variants
from pol_jax.verifying.opening_checks import Opened, load_opened_program
from pol_jax.verifying.opening_contents import check_opened_inputs, check_opened_states
from pol_jax.verifying.opening_rows import WHERE, check_metrics, decode_opened_rows
from pol_jax.verifying.perturbation import PERTURBATIONS


@dataclass(frozen=True)
class Workload:
    """A workload has the steps that every backend replays.

    Attributes:
        claim: digest of the claim that the opening names, in hex.
        step_program: the artifact of the step, as the opening has it.
        opened: the opening, checked.
        spans: the steps; each span is one step, or the fewest that have committed states at both ends.
        segments: runs of two or more spans, each beginning where the one before ends.
    """

    claim: str
    step_program: bytes
    opened: Opened
    spans: tuple[Span, ...]
    segments: tuple[tuple[Span, ...], ...]

    @property
    def commitment(self) -> Commitment:
        """Return the commitment of the run."""
        return self.opened.commitment

    def inputs(self) -> Iterator[StepInput]:
        """Return the inputs of the steps of all spans."""
        for span in self.spans:
            yield from self.opened.inputs(span)

    def losses(self, span: Span) -> list[np.float32]:
        """Return the losses that the ledger has of the steps of a span."""
        return [row.values[row.layout.loss] for row in self.opened.rows_of(span)]


def read_workload(opening: Opening, steps: Iterable[int] | None = None, limits: Limits | None = None) -> Workload:
    """Check an opening, and find what it has to replay.

    Args:
        opening: from anywhere.
        steps: only these; None for all that were opened.
        limits: bounds on what is read.

    Raises:
        UsageError: a step that is not in the opening.
        ProofError: the opening contradicts itself, or its program may not run.
    """
    # A replay here starts from committed states, and would have to put other leaves into some of them.
    if opening.interventions:
        raise UsageError("the opening has interventions, which are not measured; open other steps")
    commitment = Commitment.parse(opening.commitment)
    program = load_opened_program(opening, commitment, limits or Limits())
    rows = decode_opened_rows(opening, commitment.row_layout)
    for step, row in rows.items():
        # Before anything is derived from it: a key is folded from a step of 32 bits (section 7).
        if step > MAX_STEPS:
            raise ProofError(WHERE, f"row {step}: no run has more than {MAX_STEPS} steps")
        check_metrics(f"row {step}", row)
    every = _executable_spans(opening, commitment, rows)
    records = check_opened_inputs(opening, commitment, rows, every)
    states = check_opened_states(opening, commitment, rows)
    spans = every if steps is None else _choose(every, sorted(set(steps)))
    if not spans:
        raise UsageError("the opening has no step with the states before and after it, and its records")
    opened = Opened(commitment, program, rows, records, states, {})
    return Workload(opening.claim.hex(), opening.step, opened, spans, tuple(_segments(spans)))


def encode_workload(workload: Workload) -> bytes:
    """Return the file that `pol_jax.backends.worker` reads: arrays by name, in numpy's format, with a plan in JSON."""
    commitment, batch_size = workload.commitment, workload.commitment.schedule.batch_size
    signature = Signature.from_commitment(commitment)
    plan = {
        "state": [(leaf.dtype, leaf.shape) for leaf in commitment.state],
        "batch": [(leaf.dtype, (batch_size, *leaf.shape)) for leaf in commitment.data.record],
        "key_words": KEY_WORDS[commitment.schedule.prng],
        "loss": signature.loss_place,
        "spans": [(span.start, span.stop) for span in workload.spans],
        "segments": [[(span.start, span.stop) for span in segment] for segment in workload.segments],
        "variants": {
            platform: {each.name: dict(each.options) for each in variants(platform) if each is not DEFAULT}
            for platform in ("cpu", "gpu", "tpu")  # as `jax.default_backend` calls them, by which the worker looks
        },
        "perturbations": PERTURBATIONS,
        "perturbed_places": PERTURBED_PLACES,
    }
    arrays = {
        "plan": np.frombuffer(json.dumps(plan).encode(), np.uint8),
        "program": np.frombuffer(workload.step_program, np.uint8),
    }
    for step in {step for span in workload.spans for step in (span.start, span.stop)}:
        arrays[f"state/{step}"] = as_bytes(workload.opened.state(step))
    for span in workload.spans:
        arrays[f"loss/{span.stop}"] = as_bytes(workload.losses(span))
    for each in workload.inputs():
        arrays[f"key/{each.step}"] = each.key
        arrays[f"batch/{each.step}"] = as_bytes(each.batch)
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def as_bytes(leaves: Sequence[np.ndarray | np.float32]) -> np.ndarray:
    """Return the bytes of arrays, one after the other."""
    return np.frombuffer(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in leaves), np.uint8)


def as_state(layout: Layout, content: np.ndarray) -> HostState:
    """Return the state whose bytes ``content`` is. Law: the inverse of `as_bytes`.

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


def _executable_spans(opening: Opening, commitment: Commitment, rows: dict[int, Row]) -> tuple[Span, ...]:
    """Return the spans between opened states whose rows and records were all opened.

    The number of rows bounds the length of a span before any step of it is listed: two states of a damaged opening may
    be 2^62 steps apart.
    """
    records = {record.index for record in opening.records}
    ends = pairwise(sorted({state.step for state in opening.states}))
    spans = (Span(start, stop) for start, stop in ends if stop - start < len(rows))
    return tuple(
        span
        for span in spans
        if {span.start, *span.steps} <= rows.keys()
        and all(
            int(index) in records
            for _, _, indices in plan(commitment, span.start + 1, span.stop + 1)
            for index in indices
        )
    )


def _choose(spans: Sequence[Span], steps: Sequence[int]) -> tuple[Span, ...]:
    for step in steps:
        if not any(step in span.steps for span in spans):
            raise UsageError(f"step {step}: is not in the opening")
    return tuple(span for span in spans if any(step in span.steps for step in steps))


def _segments(spans: Sequence[Span]) -> Iterator[tuple[Span, ...]]:
    """Return the longest runs of spans that follow each other."""
    chain = list[Span]()
    for span in (*spans, None):
        if chain and (span is None or span.start != chain[-1].stop):
            if len(chain) > 1:
                yield tuple(chain)
            chain = []
        if span is not None:
            chain.append(span)
