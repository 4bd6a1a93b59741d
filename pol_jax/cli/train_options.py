"""The options of ``pol train`` say what a prover asks; they are read in one place, before anything is written."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting import folder
from pol_jax.attesting.beacon import read_round
from pol_jax.attesting.key_files import read_private_key
from pol_jax.attesting.weights import read_weights
from pol_jax.cli.cures import load_named
from pol_jax.cli.terminal import ask_passphrase
from pol_jax.errors import ProofError, UsageError
from pol_jax.files import read_own_file
from pol_jax.proving.aim import steps_of_open_run
from pol_jax.proving.choices import SECRET_BYTES, Choices
from pol_jax.proving.fine_tuning import Start
from pol_jax.sandbox.proofs import open_apart
from pol_jax.storage.foreign_weights import load_weights, nested_by_name
from pol_jax.training.task import PyTree, Task


class Beacon(NamedTuple):
    """A beacon is a public random value; a run that names it began after it was published.

    Attributes:
        name: what the commitment names it by; None for a run that names none.
        round_file: the file of a drand round that was given for it, verified; or None.
    """

    name: str | None
    round_file: bytes | None


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train options are those of ``pol train``, by their names."""

    out: Path
    steps: int | None
    interval: int | None
    witness_interval: int | None
    keep_every: int | None
    self_check: str | None
    seed: str | None
    key: Path | None
    beacon: str | None
    private: Path | None
    data_dir: Path | None
    start_from: Path | None
    start_from_weights: Path | None
    take: tuple[str, ...]
    max_constants: int | None
    evaluate: bool
    arithmetic: Literal["exact"] | None
    may_stop_early: bool
    commit_only: bool

    def private_key(self) -> Ed25519PrivateKey | None:
        """Return the key that signs, whose passphrase is asked for.

        Raises:
            UsageError: it can't be read.
        """
        return read_private_key(self.key, lambda: ask_passphrase(f"Passphrase of {self.key}")) if self.key else None

    def read_beacon(self) -> Beacon:
        """Return the beacon that was given, as text or as the file of a drand round.

        Raises:
            UsageError: the file is no round of a chain that is known, or is of the future.
        """
        if self.beacon is None or not os.path.isfile(self.beacon):  # no error for what can't be the name of a file
            return Beacon(self.beacon, None)
        content = read_own_file(Path(self.beacon), folder.MAX_ROUND_BYTES)
        try:
            return Beacon(read_round(content, now=datetime.now(UTC), where=self.beacon).text(), content)
        except ProofError as error:
            raise UsageError(f"--beacon: {error}") from None

    def choices(self, beacon: Beacon, reading: ExitStack) -> Choices:
        """Return what the commitment will say; the process that reads an earlier proof ends with ``reading``.

        Raises:
            UsageError: options contradict each other, or a file can't be read.
        """
        return Choices(
            interval=self.interval,
            witness_interval=self.witness_interval,
            seed=self.seed,
            beacon=beacon.name,
            secret=read_secret(self.private) if self.private else None,
            constant_bytes=self.max_constants,
            start=self._start(reading),
            may_stop_early=self.may_stop_early,
        )

    def load(self, task: str) -> Task:
        """Return the task of this name, with the arithmetic that was asked for."""
        # A task may depend on the number of steps; a run that is continued keeps the number with which it began.
        loaded = load_named(task, self.data_dir, steps=self.steps or steps_of_open_run(self.out))
        return replace(loaded, arithmetic=self.arithmetic) if self.arithmetic else loaded

    def segments_per_check(self) -> int | None:
        """Return N of ``--self-check 1/N``: of this many segments, one is executed twice.

        Raises:
            UsageError: the text is another one.
        """
        if self.self_check is None:
            return None
        match = re.match(r"1/([1-9]\d{0,8})\Z", self.self_check, re.ASCII)
        if not match:
            raise UsageError(f"--self-check {self.self_check!r}: expected 1/N, such as 1/20, for one segment of N")
        return int(match[1])

    def _start(self, reading: ExitStack) -> Start | None:
        """Return what the run begins with; the process that reads an earlier proof ends with ``reading``."""
        proof, weights = self.start_from, self.start_from_weights
        if proof and weights:
            raise UsageError("--start-from and --start-from-weights: give one of them")
        if self.take and not (proof or weights):
            raise UsageError("--take: says what to take over; give --start-from or --start-from-weights too")
        # Without --take it is the empty path, below which all leaves lie.
        if proof:
            return Start(reading.enter_context(open_apart(proof)), self.take or ("",))
        return Start(_weights(weights), self.take or ("",)) if weights else None


def _weights(path: Path) -> PyTree:
    """Return weights of unproven origin, from a file by its suffix, from several files, or from an Orbax checkpoint."""
    if path.is_file() or any(path.glob("*.safetensors")):
        return nested_by_name(read_weights(path))
    return load_weights(path)


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes that salt the records of a private data set.

    Raises:
        UsageError: the file can't be read, or has not 32 bytes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) != SECRET_BYTES:
        raise UsageError(
            f"{path}: has {len(content)} bytes, expected {SECRET_BYTES}; make one with: head -c 32 /dev/urandom"
        )
    return content
