"""A task that a coordinator trusts is exported once, however many updates are held against it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pol_jax.program.artifact import Artifacts, Signature
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.proving.commit import PRNG
from pol_jax.training.export import export_task, signature_of
from pol_jax.training.task import Task
from pol_jax.verifying.trusted_program import Expected, expected_of


@dataclass(frozen=True)
class Export:
    """The programs of a task, for one batch size.

    Attributes:
        signature: what they take and return.
        artifacts: the programs.
        expected: what a proof with these programs has.
    """

    signature: Signature
    artifacts: Artifacts
    expected: Expected


class TrustedTask:
    """A task that the coordinator trusts, with its programs.

    Attributes:
        task: the task.
    """

    def __init__(self, task: Task) -> None:
        """Trust ``task``; it is exported when its programs are first needed."""
        self.task = task
        self._exports: dict[int, Export] = {}

    def export(self, batch_size: int) -> Export:
        """Return the task's programs for this batch size.

        Raises:
            TaskError: the task breaks its contract.
        """
        if batch_size not in self._exports:
            task = replace(self.task, batch_size=batch_size)
            signature = signature_of(task, PRNG)
            artifacts = export_task(task, signature, Limits(constant_bytes=2**62))  # one's own has nothing to hide
            self._exports[batch_size] = Export(signature, artifacts, expected_of(artifacts, signature))
        return self._exports[batch_size]

    def expect(self, commitment: Commitment, steps: int) -> Expected:
        """Return what to expect of a proof with this commitment; it is a `pol_jax.verifying.trusted_program.Trusted`.

        The batch size and the PRNG are the assigned ones: a proof with others is refused before anything asks.
        """
        return self.export(commitment.schedule.batch_size).expected
