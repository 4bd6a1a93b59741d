"""What a verification found, as one frozen value. Its truth value is "accepted"."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec

from pol_jax import errors
from pol_jax.challenge import Policy, StepPolicy
from pol_jax.encoding import FORMAT
from pol_jax.environment import Environment

STAGES: Final = (
    "limits and names",
    "files against claim",
    "commitment",
    "ledger",
    "keys and order",
    "state digests",
    "initial state",
    "challenge",
    "replay",
)
"""Names of the stages, in order; a stage's number is its place, from 1. The same in the documents and the code."""


class Verdict(StrEnum):
    """What a verification comes to."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        codes = {"accepted": errors.ACCEPTED, "rejected": errors.REJECTED, "inconclusive": errors.INCONCLUSIVE}
        return codes[self.value]


class Outcome(StrEnum):
    """What became of a stage."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_REACHED = "not reached"


class Origin(StrEnum):
    """Whose program was replayed: compared with the verifier's own export of source that it trusts."""

    TRUSTED = "trusted source"
    DIFFERS = "differs from the trusted source"
    NOT_COMPARED = "not compared"


class Stage(msgspec.Struct, frozen=True):
    """One stage: its number (1 is the first), name, outcome, and what was seen."""

    number: int
    name: str
    outcome: Outcome
    detail: str


class Coverage(msgspec.Struct, frozen=True):
    """What was and wasn't replayed.

    Attributes:
        unit: what is challenged: segments of a proof, or steps of an opening.
        segments: how many the proof has; steps, if these are the unit.
        replayed: the challenged ones that were.
        steps: how many the proof has.
        steps_replayed: in those segments, and on the way to them from a checkpoint.
        fraction: the share of false segments that the next field is about.
        detection: probability that a draw like this one meets a false segment, if that share is false. Only what
            chance chose counts: it is 0 for a list and for the largest updates, unless they are all.
    """

    unit: Literal["segment", "step"]
    segments: int
    replayed: tuple[int, ...]
    steps: int
    steps_replayed: int
    fraction: float
    detection: float


class Report(msgspec.Struct, frozen=True):
    """The result of a verification.

    Attributes:
        format: version of the format.
        verdict: accepted, rejected or inconclusive.
        reasons: why, one line each.
        stages: all nine.
        claim: hex digest of the claim; None where it could not be read.
        commitment: hex digest of the commitment, likewise.
        nonce: hex; decides the draw.
        policy: decides the draw.
        coverage: None where no challenge was drawn.
        claimed_environment: where the prover says it ran.
        environment: where the verification ran.
        program_origin: whether the program is the one that the verifier exports from source that it trusts.
    """

    format: Literal["pol-jax/1"]
    verdict: Verdict
    reasons: tuple[str, ...]
    stages: tuple[Stage, ...]
    claim: str | None
    commitment: str | None
    nonce: str
    policy: Policy | StepPolicy
    coverage: Coverage | None
    claimed_environment: Environment | None
    environment: Environment
    program_origin: Origin = Origin.NOT_COMPARED

    def __bool__(self) -> bool:
        """Whether the proof is accepted."""
        return self.verdict is Verdict.ACCEPTED

    def to_json(self) -> bytes:
        """The report as JSON, indented, for people and programs."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


assert FORMAT == "pol-jax/1", "the Literal types above name the format"  # noqa: S101
