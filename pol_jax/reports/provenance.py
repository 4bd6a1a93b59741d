"""A report says where program and initial state come from, and what earlier proofs are worth (sections 2.1, 13.3)."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, OwnKey, UnprovenWeights, taken
from pol_jax.protocol.policies import Policy, StepPolicy
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.curves import NonNegative
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Mode, Verdict


class Origin(StrEnum):
    """An origin says whether the program is the one that the verifier exports from source that it trusts."""

    TRUSTED = "trusted source"
    DIFFERS = "differs from the trusted source"
    NOT_COMPARED = "not compared"


class Beginning(StrEnum):
    """A beginning says what an initial state takes over, beside the leaves that come from its own key."""

    OWN_KEY = "own key"
    EARLIER_PROOF = "earlier proof"
    UNPROVEN_WEIGHTS = "unproven weights"


class Provenance(msgspec.Struct, frozen=True):
    """A provenance says where an initial state comes from, according to the commitment (section 2.1).

    Leaves that are not taken over come from the key of step 0.

    Attributes:
        beginning: its own key alone, leaves of an earlier proof's final state, or weights that no proof is about.
        claim: hex digest of the claim of the earlier proof, or None.
        digest: hex state digest of the leaves that were taken over, or None.
        taken: paths of the leaves that were taken over.
        values: how many numbers these leaves hold.
        leaves: number of leaves of the state.
    """

    beginning: Beginning
    claim: str | None
    digest: str | None
    taken: tuple[str, ...]
    values: int
    leaves: NonNegative


class Ancestor(msgspec.Struct, frozen=True):
    """An ancestor is an earlier proof from which the initial state comes, directly or not, and the verdict on it.

    Attributes:
        claim: hex digest of its claim.
        verdict: the verdict on it, with the same nonce.
        reasons: the reasons for that verdict.
        task: the prover's name for its task.
        policy: the policy by which it was challenged.
        coverage: what of it was replayed; None if no challenge was drawn.
        provenance: where its own initial state comes from; None if its commitment could not be read.
        program_origin: whether its program is the verifier's own export.
        mode: how it was accepted, itself and what it comes from; None if it was not.
        drift: what false or tolerated steps could have done in it; None if nothing that was challenged passed.
        commitment: hex digest of its commitment; None if it could not be read.
        interventions: changes of its state from outside the program, as its claim names them.
        may_stop_early: whether the prover could choose where it ends; None if its commitment could not be read.
    """

    claim: str
    verdict: Verdict
    reasons: tuple[str, ...]
    task: str | None
    policy: Policy | StepPolicy
    coverage: Coverage | None
    provenance: Provenance | None
    program_origin: Origin
    mode: Mode | None = None
    drift: Drift | None = None
    commitment: str | None = None
    interventions: tuple[Intervention, ...] = ()
    may_stop_early: bool | None = None

    @property
    def tolerated(self) -> float:
        """Return how far tolerances could have led this run astray: infinite if they bound nothing."""
        # If an earlier proof is not accepted, nothing is accepted that comes from it (section 13.3): no sum is needed.
        if self.verdict is not Verdict.ACCEPTED or self.mode is Mode.BITS:
            return 0.0
        return math.inf if self.drift is None or self.drift.tolerated is None else self.drift.tolerated

    @property
    def share(self) -> float:
        """Return which share of a leaf's distance in this run tolerances could make up: infinite if it is not known."""
        if self.verdict is not Verdict.ACCEPTED or self.mode is Mode.BITS:
            return 0.0
        return math.inf if self.drift is None or self.drift.share is None else self.drift.share


def provenance_of(commitment: Commitment) -> Provenance:
    """Return where the initial state comes from, by the commitment."""
    initial, leaves = commitment.initial, taken(commitment.initial, commitment.state).values()
    return Provenance(
        beginning=_BEGINNINGS[type(initial)],
        claim=initial.claim if isinstance(initial, EarlierProof) else None,
        digest=None if isinstance(initial, OwnKey) else initial.digest,
        taken=tuple(leaf.path for leaf in leaves),
        values=sum(math.prod(leaf.shape) for leaf in leaves),
        leaves=len(commitment.state),
    )


_BEGINNINGS: Final = {
    OwnKey: Beginning.OWN_KEY,
    EarlierProof: Beginning.EARLIER_PROOF,
    UnprovenWeights: Beginning.UNPROVEN_WEIGHTS,
}
