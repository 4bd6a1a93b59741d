"""A claim is what the prover states after the last step (docs/protocol.md, section 2.2).

It covers meanings and not files: the same run always gives the same claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Final

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.documents import HexDigest, decode, encode
from pol_jax.protocol.encoding import FORMAT_1, Digest, Format, document_digest
from pol_jax.protocol.environment import Environment, environment_differences
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.protocol.spans import Span
from pol_jax.protocol.version_1 import downgrade_claim, upgrade_claim

FILE: Final = "claim.json"

_MAX_ENTRIES: Final = 2**10
"""A claim has at most this many environments, and as many interventions (section 2.2)."""

INITIAL: Final = Span(-1, 0)
"""This span stands for the initial state among spans of steps."""

StepNumber = Annotated[int, msgspec.Meta(ge=0, le=MAX_STEPS)]


class EnvironmentFrom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """A run may go on in another environment after an interruption; each applies from a step on.

    Attributes:
        start: the last step before this environment; 0 for the first one, where the initial state was made too.
        environment: where the steps after ``start`` were made, as the prover says.
    """

    start: StepNumber
    environment: Environment


class Intervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An intervention is a change of the state from outside the program, which no replay explains.

    Attributes:
        after: the step after whose end, and before the next step, leaves were replaced.
        leaves: their paths, in the order of the state; at least one.
        digest: state digest of the new leaves alone.
        reason: what the prover says about it.
    """

    after: StepNumber
    leaves: tuple[str, ...]
    digest: HexDigest
    reason: Annotated[str, msgspec.Meta(max_length=256)]


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim is the document ``claim.json``.

    Attributes:
        format: version of the format.
        commitment: digest of the commitment.
        ledger_root: Merkle root over the ledger's rows, 0 to ``steps``.
        steps: T, the number of steps trained.
        final_state: digest of the state after the last step.
        environments: where the run was made, as the prover says; ascending by step, the first from step 0.
        interventions: changes of the state from outside the program, ascending by step.
    """

    format: Format
    commitment: HexDigest
    ledger_root: HexDigest
    steps: Annotated[int, msgspec.Meta(ge=1, le=MAX_STEPS)]
    final_state: HexDigest
    environments: tuple[EnvironmentFrom, ...]
    interventions: tuple[Intervention, ...]

    @property
    def environment(self) -> Environment:
        """Return the environment in which the run began."""
        return self.environments[0].environment

    def environment_differences(self, own: Environment, spans: Iterable[Span] | None = None) -> list[str]:
        """Return in what the environments of the run differ from ``own``, in one line each, none twice.

        Args:
            own: another environment.
            spans: the steps whose environments count, with `INITIAL` for the initial state; None for the whole run.
        """
        counted = (
            self.environments if spans is None else [each for span in spans for each in self.environments_of(span)]
        )
        found = [line for each in counted for line in environment_differences(each.environment, own)]
        return list(dict.fromkeys(found))

    def environments_of(self, span: Span) -> list[EnvironmentFrom]:
        """Return those in which the steps of a span were made, as the prover says."""
        ends = [*(each.start for each in self.environments[1:]), self.steps]
        pairs = zip(self.environments, ends, strict=True)
        # The initial state was made where the run began, before any step.
        if span == INITIAL:
            return [self.environments[0]]
        # One counts if it made any step of the span: those after its `start`, up to the `start` of the next one.
        return [each for each, end in pairs if each.start < span.stop and span.start < end]

    def check_commitment(self, commitment: Commitment) -> None:
        """Refuse another commitment than the claimed one.

        Raises:
            ProofError: the claim names another one.
        """
        if commitment.digest().hex() != self.commitment:
            raise ProofError(commitments.FILE, "is not the commitment that the claim names")

    def encode(self) -> bytes:
        """Return the bytes of the canonical document."""
        plain = msgspec.to_builtins(self)
        return encode(downgrade_claim(plain) if self.format == FORMAT_1 else plain)

    def digest(self) -> Digest:
        """Return the digest of the canonical document; it decides which segments a random challenge draws."""
        return document_digest("claim", self.encode(), self.format)

    @classmethod
    def parse(cls, content: bytes) -> Claim:
        """Return the claim that ``content`` holds, after checking also what its types can't express.

        Raises:
            ProofError: ``content`` is no claim; the text names the field.
        """
        claim = decode(content, cls, FILE, upgrade_claim)
        # Each step has exactly one environment: the ranges begin at 0, ascend, and end with the run (section 2.2).
        starts = [each.start for each in claim.environments]
        if starts[:1] != [0] or not _ascend(starts, claim.steps):
            raise ProofError(FILE, f"environments: expected ascending steps below {claim.steps}, the first 0")
        # Version 1 wrote these lists in any order, and its claims keep their digests (appendix A).
        if claim.format != FORMAT_1:
            for each in claim.environments:
                _check_environment(each.environment)
        if not _ascend([each.after for each in claim.interventions], claim.steps):
            raise ProofError(FILE, f"interventions: expected ascending steps below {claim.steps}")
        for intervention in claim.interventions:
            if not intervention.leaves:
                raise ProofError(FILE, "interventions: leaves: is empty; expected at least one path")
        return claim


def _ascend(steps: list[int], end: int) -> bool:
    """Return whether steps ascend, none twice, and are all below ``end``; and whether there are not too many."""
    return len(steps) <= _MAX_ENTRIES and all(a < b for a, b in pairwise([*steps, end]))


def _check_environment(environment: Environment) -> None:
    """Refuse lists that are not sorted: two environments are compared as they stand."""
    for name in ("xla_flags", "cpu_features", "shardings", "variables", "libraries"):
        values = getattr(environment, name)
        if values is None or list(values) != sorted(values):
            raise ProofError(FILE, f"environment.{name}: expected a list, sorted by code points")
    if environment.shardings:
        raise ProofError(FILE, "environment.shardings: expected an empty list; the mesh of the commitment says it")
