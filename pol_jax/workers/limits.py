"""An honest answer to an assignment has at most some size; nothing larger is read, whoever sends it."""

from __future__ import annotations

from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.encoding import DIGEST_BYTES
from pol_jax.protocol.limits import Limits
from pol_jax.workers.documents import Expectation

_DOCUMENT, _PROGRAM = 2**16, 2**16
_ROW, _PATH = 2**9, 2**12
_CHECKPOINT, _LEAF, _FILES = 2**22, 2**14, 64
"""Formats add this many bytes to the contents; the last number is that of the files of a checkpoint."""


def limits_of(expected: Expectation, challenged: int | None = None) -> Limits:
    """Return the bounds on a proof that follows an assignment, or on its opening.

    Args:
        expected: what is known of the proof.
        challenged: how many steps an opening is asked for; None for all.
    """
    commitment, steps = expected.commitment, expected.steps
    schedule, leaves = commitment.schedule, len(commitment.state)
    state, record = nbytes(commitment.state), nbytes(commitment.data.record)
    checkpoints = steps // schedule.interval + 2
    # Factors of 2 and 4, here and below: files of Parquet and Orbax are larger than what they hold, and a limit that is
    # too narrow would reject an honest worker.
    row = _ROW + 2 * 8 * schedule.batch_size
    files = checkpoints * (_FILES + 2 * leaves) + 16
    document = _DOCUMENT + 2**10 * leaves + 2**8 * files
    program = _PROGRAM + 2 * max(len(expected.artifacts.init), len(expected.artifacts.step))
    segment = _DOCUMENT + row * (schedule.interval + 1)
    records = DIGEST_BYTES * commitment.data.records
    checkpoint = 4 * state + _CHECKPOINT + _LEAF * leaves
    # The first and the last step are in every challenge, whatever was drawn.
    spans = min(steps, (steps if challenged is None else challenged) + 2)
    opened = min(steps, spans * schedule.witness_interval)
    opening = (
        document
        + 2 * program
        + 2 * (spans + 1) * (state + _DOCUMENT)
        + 2 * (opened + 2) * (row + _PATH)
        + opened * schedule.batch_size * (record + _PATH)
    )
    return Limits(
        document_bytes=document,
        program_bytes=program,
        records_bytes=records,
        segment_bytes=segment,
        total_bytes=3 * document + 2 * program + records + checkpoints * (checkpoint + segment),
        files=files,
        state_bytes=state,
        steps=steps,
        opening_bytes=opening,
        constant_bytes=program,
    )
