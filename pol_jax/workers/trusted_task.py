"""A task that a coordinator trusts is exported once, however many updates are held against it."""

from __future__ import annotations

from dataclasses import dataclass

from pol_jax.program.artifact import Artifacts
from pol_jax.program.signature import Signature
from pol_jax.protocol.limits import Limits
from pol_jax.proving.choices import PRNG
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task
from pol_jax.verifying.trusted_program import Expected, expected_of
from pol_jax.workers.assignment import Assignment


@dataclass(frozen=True)
class Export:
    """An export holds the programs of a task, for one batch size.

    Attributes:
        signature: what they take and return.
        artifacts: the programs.
        expected: what a proof with these programs has.
    """

    signature: Signature
    artifacts: Artifacts
    expected: Expected


class TrustedTask:
    """A trusted task is one that the coordinator trusts, with its programs.

    Attributes:
        task: the task.
    """

    def __init__(self, task: Task) -> None:
        """Trust ``task``; it is exported when its programs are first needed."""
        self.task = task
        self._exports: dict[tuple[int, str | None], Export] = {}

    def export(self, assignment: Assignment) -> Export:
        """Return the task's programs as they are trained under an assignment.

        Raises:
            TaskError: the task breaks its contract.
        """
        task = assignment.of_task(self.task)
        # Nothing else of an assignment is part of a program: its steps, seed and records are the commitment's alone.
        kind = task.batch_size, task.arithmetic
        if kind not in self._exports:
            signature = signature_of(task, PRNG)
            artifacts = export_task(task, signature, Limits(constant_bytes=2**62))  # one's own has nothing to hide
            self._exports[kind] = Export(signature, artifacts, expected_of(artifacts, signature))
        return self._exports[kind]
