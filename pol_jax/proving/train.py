"""The shortest way to a proof: `train` runs all steps of a task in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from pol_jax.proving.recording import Recording
from pol_jax.proving.run_options import RunOptions
from pol_jax.storage.proof import Proof, open_proof
from pol_jax.training.task import Task


def train(task: Task, out: Path | str, **options: Unpack[RunOptions]) -> Proof:
    """Train ``task`` with a proof in the directory ``out``, or continue a run there that was interrupted.

    Args:
        task: what to train.
        out: the proof's directory, which is made if it does not exist.
        options: what else may be asked of a run, such as ``steps`` or ``key``: see `RunOptions`.

    Returns:
        The proof; it is not finished if this machine is about to be taken away, and the same call then continues it.

    Raises:
        UsageError: the directory has other files than a proof's, or the choices contradict the run in it.
        DivergenceError: a recomputed step differs from the ledger, or gives another result the second time.
        StorageError: the directory can't be written.
        ProcessError: another process has failed, or has not reported a step.
    """
    with Recording(task, out, **options) as recording:
        recording.run()
    return open_proof(out)
