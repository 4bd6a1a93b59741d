"""A program is loaded back and tried before anything is written: what fails at the first step leaves no directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jaxtyping import UInt32

from pol_jax.errors import BackendError, ProcessError, ProofError, TaskError, printable
from pol_jax.program.artifact import Artifacts, Program, load_program
from pol_jax.program.placement import Placement
from pol_jax.program.signature import Signature
from pol_jax.training.processes import lost_process
from pol_jax.training.records import Batch, take
from pol_jax.training.task import Source


def try_program(
    artifacts: Artifacts, signature: Signature, source: Source, placement: Placement | None = None
) -> Program:
    """Return a task's programs, loaded as a verifier loads them, after running ``init`` and one step.

    What is compiled for the trial is used by the run. The result of the trial is dropped: its key is zero, and its
    batch has the first records.

    Raises:
        TaskError: a verifier could not load the programs, or they can't run here.
        DataError: the records of the batch are not alike.
    """
    try:
        program = load_program(artifacts, signature)
    except (ProofError, BackendError) as error:
        raise TaskError(
            f"what was exported can't be loaded back: {error}; init and step must be pure functions of their arguments,"
            " for one device"
        ) from error
    if placement is not None:
        program = program.on(placement)
        if placement.has_peers:  # all processes would have to run it together
            return program
    batch, key = trial_inputs(signature, source)
    with running("the first step"):
        jax.block_until_ready(program.step(program.init(key), batch, key))
    return program


def trial_inputs(signature: Signature, source: Source) -> tuple[Batch, UInt32[np.ndarray, " words"]]:
    """Return the batch of the first records, and a key of zeros.

    Raises:
        DataError: the records of the batch are not alike.
    """
    # A batch may be larger than the data set: it then has records of several epochs (section 8).
    indices = np.arange(signature.batch_size, dtype=np.int64) % len(source)
    return take(source, signature.record, indices), np.zeros(signature.key().shape, np.uint32)


@contextmanager
def running(what: str) -> Iterator[None]:
    """Let steps run as ever, whatever the caller's code is debugged with; what XLA raises becomes one line.

    Raises:
        TaskError: XLA can't compile or run ``what``, or jax's own checks (``jax_debug_nans``) stopped it.
        ProcessError: the same, where several processes run.
    """
    try:
        with jax.transfer_guard("allow"), jax.disable_jit(False):
            yield
    # These are about the machine or the program; any other exception is a bug, and keeps its traceback.
    except (jax.errors.JaxRuntimeError, FloatingPointError, MemoryError) as error:
        if jax.process_count() > 1:
            raise ProcessError(f"{what} {lost_process(error)}") from error
        text = printable((str(error) or type(error).__name__).splitlines()[0])
        raise TaskError(f"{what} can't run here: {text}") from error
