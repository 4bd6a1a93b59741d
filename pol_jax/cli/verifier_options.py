"""The options of a verifier, for a proof and for an opening alike, are read in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pol_jax.attesting.anchors import read_anchors
from pol_jax.cli.cures import load_named, source_of_built_in
from pol_jax.errors import UsageError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.sandbox.bounds import Bounds
from pol_jax.training.task import Source, Task
from pol_jax.verifying.built_in_records import BUILT_IN_RECORDS
from pol_jax.verifying.request import absolute_path
from pol_jax.verifying.trusted_program import Trusted, trust


@dataclass(frozen=True, kw_only=True)
class VerifierOptions:
    """Verifier options are those of ``pol verify`` that mean something for proofs and for openings, by their names.

    ``pol merge-reports`` and ``pol resolve`` have some of them, and leave the others at their defaults.
    """

    task: tuple[str, ...] = ()
    data_dir: Path | None = None
    same_program: bool = False
    any_program: bool = False
    confidence: float | None = None
    fraction: float | None = None
    nonce: str | None = None
    nonce_round: Path | None = None
    max_constants: int | None = None
    jobs: int | None = None
    d_ref: float | None = None
    exact: bool = False
    leaves: tuple[str, ...] = ()
    model: Path | None = None
    signer: str | None = None
    tsa_roots: Path | None = None
    timeout: float = 900.0
    total_timeout: float | None = None
    memory: float | None = None
    unconfined: bool = False
    json_file: Path | None = None
    html_file: Path | None = None

    @property
    def chance(self) -> dict[str, float]:
        """Return the parameters of a random draw that were given, by name; what is left out has its default."""
        given = (("confidence", self.confidence), ("fraction", self.fraction))
        return {name: share for name, share in given if share is not None}

    @property
    def records(self) -> str:
        """Return what a report calls the training records."""
        return f"--task {', '.join(self.task)}" if self.task else BUILT_IN_RECORDS

    def request_fields(self) -> dict[str, Any]:
        """Return the fields that a request about a proof and one about an opening have in common, except the nonce.

        Raises:
            UsageError: a key or a file of root certificates can't be read.
        """
        return {
            "limits": Limits() if self.max_constants is None else Limits(constant_bytes=self.max_constants),
            "same_program": self.same_program,
            "any_program": self.any_program,
            "jobs": self.jobs or 1,
            "d_ref": self.d_ref,
            "exact": self.exact,
            "leaves": self.leaves,
            "model": None if self.model is None else absolute_path(self.model),
            **read_anchors(self.signer, self.tsa_roots)._asdict(),
        }

    def bounds(self) -> Bounds:
        """Return the bounds on the process that verifies; ``memory`` is in GB."""
        return Bounds(
            silence_seconds=self.timeout,
            total_seconds=self.total_timeout,
            memory_bytes=None if self.memory is None else round(self.memory * 1e9),
            confined=not self.unconfined,
        )

    def trusted(self) -> Trusted | None:
        """Return what tells the program of the task that a proof is compared with, of those that are trusted.

        Raises:
            UsageError: the verifier insists on a trusted program, and names no task.
        """
        if self.task:
            # The program may depend on the committed number of steps, or else on the task's own.
            return trust(
                lambda commitment, steps: self._task(commitment, steps),
                lambda commitment, steps: self._task(commitment),
            )
        if self.same_program:
            raise UsageError("--same-program: there is no source to compare with; say whose is trusted (--task)")
        return None

    def source(self) -> Callable[[Commitment], Source]:
        """Return what finds the records of a proof: those of the trusted tasks, or else of the built-in task."""
        if not self.task:
            return source_of_built_in(self.data_dir)
        return lambda commitment: self._task(commitment).source

    def _task(self, commitment: Commitment, steps: int | None = None) -> Task:
        """Return the task of a proof: the only one, or of several the one whose name the proof has."""
        tasks = [load_named(name, self.data_dir, steps=steps) for name in self.task]
        if len(tasks) == 1:
            return tasks[0]
        for task in tasks:
            if task.name == commitment.task.name:
                return task
        raise UsageError(
            f"--task: none of the given tasks is called {commitment.task.name!r}; give the task of this proof too"
        )


def split_options(options: Mapping[str, Any]) -> tuple[VerifierOptions, dict[str, Any]]:
    """Return the options that proofs and openings have in common, and those that are about proofs alone."""
    common = {field.name for field in fields(VerifierOptions)}
    others = {name: value for name, value in options.items() if name not in common}
    return VerifierOptions(**{name: value for name, value in options.items() if name in common}), others
