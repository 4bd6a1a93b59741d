"""A verification results in these values: its verdict, the mode of an acceptance, the outcome of each stage."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pol_jax import errors
from pol_jax.protocol.stages import Stage


class Verdict(StrEnum):
    """A verdict is the result of a verification."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line (section 13.2)."""
        codes = {"accepted": errors.ACCEPTED, "rejected": errors.REJECTED, "inconclusive": errors.INCONCLUSIVE}
        return codes[self.value]


class Mode(StrEnum):
    """A mode says how a proof was accepted: everything bit for bit, or something only within a tolerance."""

    BITS = "bits"
    TOLERANCE = "tolerance"


class Outcome(StrEnum):
    """An outcome is the result of a stage, of a comparison or of one leaf; only a stage may be "not reached"."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_REACHED = "not reached"


class StageResult(msgspec.Struct, frozen=True):
    """A stage result holds number and name of a stage (the first is 1), its outcome, and what was found."""

    number: int
    name: str
    outcome: Outcome
    detail: str

    @classmethod
    def of(cls, stage: Stage, outcome: Outcome, detail: str = "") -> StageResult:
        """Return the result of ``stage``."""
        return cls(stage.value, stage.title, outcome, detail)
