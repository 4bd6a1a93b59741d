"""A plan says what a coordinator asks of every worker in every round, and how much of it is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pol_jax.sandbox.bounds import Bounds
from pol_jax.workers.assignment import Assignment, Data
from pol_jax.workers.verify_update import BOUNDS


@dataclass(frozen=True)
class Plan:
    """A plan says what workers are asked for in each round, and how much of it is checked.

    Attributes:
        steps: number of steps of a worker.
        batch_size: number of records of a step.
        interval: number of steps between two checkpoints.
        take: paths of the leaves that workers take over from the global model, or of nodes above them.
        arithmetic: ``"exact"`` for the same bits on every backend; None for that of the task.
        share: of a worker's steps that the coordinator replays at most.
        fraction: the share of false steps that the report's probability is about.
        answer_seconds: how long a worker may take to register, and to answer a challenge; later it is left out.
        bounds: on the process that verifies an opening.
    """

    steps: int
    batch_size: int
    interval: int
    take: tuple[str, ...] = ("/params",)
    arithmetic: Literal["exact"] | None = None
    share: int | float = 0.25
    fraction: float = 0.05
    answer_seconds: int | float = 600
    bounds: Bounds = BOUNDS

    def assignment(self, seed: str, data: Data, prover: str | None = None) -> Assignment:
        """Return what a worker with these records and this public key is asked for under this seed."""
        schedule = self.steps, self.batch_size, self.interval
        return Assignment(seed, *schedule, data, self.take, prover, self.arithmetic)
