"""An assignment is what a coordinator asks a worker to train: it leaves the worker nothing to choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pol_jax.attesting.public_key import parse_public_text
from pol_jax.errors import ProofError, UsageError
from pol_jax.protocol import merkle
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.protocol.trees import PyTree
from pol_jax.proving.choices import Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.training.records import digest_source, record_spec
from pol_jax.training.task import Source, Task


@dataclass(frozen=True)
class Data:
    """A worker's data are its records, as it registered them before the first round: they can't be changed afterwards.

    Attributes:
        root: hex Merkle root over the digests of the records.
        records: how many there are.
        salted: whether the digests are salted, so that they tell nothing of the records.
    """

    root: str
    records: int
    salted: bool = False


@dataclass(frozen=True)
class Assignment:
    """An assignment says what a coordinator asks a worker to train.

    Attributes:
        seed: any text; no two workers and no two rounds may have the same one. It decides keys and order of records.
        steps: number of steps.
        batch_size: number of records of a step.
        interval: number of steps between two checkpoints.
        data: the worker's records.
        take: paths of the leaves that the worker takes over from the global model, or of nodes above them. These
            leaves of its final state are its update.
        prover: the worker's public key, ``ed25519:`` and 64 hex digits, which must have signed its claim; or None.
        arithmetic: ``"exact"`` for the same bits on every backend, at a cost in speed; None for that of the task.
    """

    seed: str
    steps: int
    batch_size: int
    interval: int
    data: Data
    take: tuple[str, ...] = ("/params",)
    prover: str | None = None
    arithmetic: Literal["exact"] | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody could train.

        Raises:
            UsageError: a number is out of range, the data have no Merkle root, or nobody can have the key.
        """
        # What a commitment takes; nobody could follow an assignment of more.
        for name, most in (("steps", MAX_STEPS), ("batch_size", 2**20), ("interval", 2**20)):
            number = getattr(self, name)
            if not 1 <= number <= most:
                raise UsageError(f"assignment: {name} {number}: expected 1 to {most}")
        if len(self.data.root) != 64 or not set(self.data.root) <= set("0123456789abcdef"):
            raise UsageError(f"assignment: data.root {self.data.root[:80]!r}: expected 64 hex digits")
        if self.prover is not None:
            try:
                parse_public_text(self.prover, "assignment: prover")
            except ProofError as error:
                raise UsageError(str(error)) from None

    def of_task(self, task: Task) -> Task:
        """Return the task as it is trained under this assignment."""
        return replace(task, batch_size=self.batch_size, arithmetic=self.arithmetic or task.arithmetic)

    def choices(self, previous: PyTree, secret: bytes | None = None) -> Choices:
        """Return what a prover who follows this assignment chooses.

        Args:
            previous: the global model that the worker starts from.
            secret: of a worker whose data are salted.
        """
        return Choices(
            interval=self.interval,
            seed=self.seed,
            witness_interval=1,  # the coordinator must expect the same number, whatever a digest costs the worker
            prover=self.prover,
            secret=secret,
            start=Start(previous, self.take),
        )


def register(source: Source, secret: bytes | None = None) -> Data:
    """Return what a worker registers of its records.

    Args:
        source: the records.
        secret: 32 bytes that salt their digests, or None.
    """
    digests = digest_source(source, record_spec(source), secret)
    return Data(merkle.root(digests).hex(), len(digests), secret is not None)
