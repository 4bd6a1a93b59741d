"""Stage 7 for the initial state: what it takes over, and the chain of earlier proofs that it comes from.

A proof names the one that it starts from by the digest of its claim. That one is verified in the same way, and so is
the one before it. No claim can hold its own digest, so a chain can't return to a proof by honest means; it is followed
to a bound all the same, since a verifier's time must not depend on how long a chain a prover made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from pol_jax.errors import PolError, ProofError, UsageError
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, OwnKey, taken
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.stages import Stage
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.outcomes import Outcome, Verdict
from pol_jax.reports.provenance import Ancestor
from pol_jax.reports.report import Report
from pol_jax.reports.wording.notices import first_reason
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.proof import open_proof
from pol_jax.storage.seen_digests import CHANGED
from pol_jax.training.initial_state import digest_of
from pol_jax.training.states import Layout

MOST_ANCESTORS: Final = 16
"""A verifier follows this many proofs, one before the other (section 13.3)."""


@dataclass(frozen=True)
class Lineage:
    """A lineage has what a verifier needs to follow a chain of proofs.

    Attributes:
        known: directories of earlier proofs, by the hex digest of the claim in each.
        followed: hex digests of the claims from the first that was asked about to the one that is verified now.
    """

    known: Mapping[str, Path]
    followed: tuple[str, ...] = ()


VerifyAncestor: TypeAlias = Callable[[Path, Lineage], Report]
"""This function verifies an earlier proof as the one that starts from it is verified."""


@dataclass(frozen=True)
class Ancestry:
    """An ancestry is what was found by following a chain of proofs.

    Attributes:
        ancestors: the earlier proofs that were verified, the latest first.
        refusal: why the proof that starts from them is to be rejected, or None.
        doubt: why it can't be accepted, or None.
    """

    ancestors: tuple[Ancestor, ...] = ()
    refusal: str | None = None
    doubt: str | None = None


def lineage_of(parents: Iterable[str], limits: Limits) -> Lineage:
    """Read the claims of the proofs in these directories, so that a chain can be followed through them.

    Raises:
        UsageError: one has no claim that can be read.
    """
    known = {}
    for path in map(Path, parents):
        try:
            claim = Claim.parse(read_bounded(path, claims.FILE, limits))
        except PolError as error:
            raise UsageError(f"parents: {path}: no finished proof here: {error}") from error
        # By digest and not by path: a commitment names an earlier proof by nothing else (section 2.1).
        known[claim.digest().hex()] = path
    return Lineage(known)


def check_taken(commitment: Commitment, leaves: Sequence[np.ndarray], where: str) -> None:
    """Check that an initial state has the leaves that the commitment fixed.

    They are stored and not computed, so their bits are the same on any backend.

    Args:
        commitment: of the proof.
        leaves: of the initial state.
        where: the file that it was found in.

    Raises:
        ProofError: it has other leaves.
    """
    # Nothing was taken over: the replay of step 0 derives all of it.
    if isinstance(commitment.initial, OwnKey):
        return
    places = taken(commitment.initial, commitment.state)
    if digest_of(tuple(places.values()), [leaves[at] for at in places]) != commitment.initial.digest:
        raise ProofError(where, "the leaves that were taken over are not those that the commitment fixed")


def check_ancestry(
    commitment: Commitment, claim: Claim, lineage: Lineage, verify: VerifyAncestor, limits: Limits
) -> Ancestry:
    """Verify the proof that the initial state comes from, and check that it ends in what was taken over.

    Args:
        commitment: of the proof that is verified.
        claim: of the same.
        lineage: the earlier proofs that are known, and the chain that led to this one.
        verify: verifies an earlier proof.
        limits: bounds on what is read.
    """
    if not isinstance(commitment.initial, EarlierProof):
        return Ancestry()
    earlier, followed = commitment.initial.claim, (*lineage.followed, claim.digest().hex())
    # No honest claim can hold its own digest, so a chain that returns was made by breaking a hash or the format.
    if earlier in followed:
        return Ancestry(refusal=f"the chain of proofs returns to the claim {earlier}")
    # An honest chain may be longer, or a proof may be lost: that leaves a doubt, and refuses nothing (section 13.3).
    if len(followed) > MOST_ANCESTORS:
        return Ancestry(doubt=f"the chain has more than {MOST_ANCESTORS} earlier proofs; this verifier follows no more")
    if earlier not in lineage.known:
        return Ancestry(doubt=f"it comes from the run with the claim {earlier}, whose proof is missing")
    path = lineage.known[earlier]
    # Handed in, since it is the verification itself: with the same limits, policy and nonce (section 13.3).
    report = verify(path, Lineage(lineage.known, followed))
    ancestors = (_ancestor(earlier, report), *report.ancestors)
    name = f"the proof of the claim {earlier}, which it comes from,"
    if report.claim not in (None, earlier):  # the directory changed since its claim was read
        return Ancestry(ancestors, refusal=f"{name} is no longer where it was")
    if report.verdict is Verdict.REJECTED:
        return Ancestry(ancestors, refusal=f"{name} is rejected: {first_reason(report)}")
    # An inconclusive proof may have passed stage 6: then its final state is known, and other leaves are a refusal.
    readable = report.stages[Stage.STATE_DIGESTS.value - 1].outcome is Outcome.PASSED
    refusal = _difference(commitment.initial, commitment.state, path, limits) if readable else None
    doubt = f"{name} is inconclusive: {first_reason(report)}" if report.verdict is Verdict.INCONCLUSIVE else None
    return Ancestry(ancestors, refusal, doubt)


def _ancestor(claim: str, report: Report) -> Ancestor:
    return Ancestor(
        claim=claim,
        verdict=report.verdict,
        reasons=report.reasons,
        task=report.task,
        policy=report.policy,
        coverage=report.coverage,
        provenance=report.provenance,
        program_origin=report.program_origin,
        mode=report.mode,
        drift=report.drift,
        commitment=report.commitment,
        interventions=report.interventions,
        may_stop_early=report.may_stop_early,
    )


def _difference(initial: EarlierProof, state: StateSpec, path: Path, limits: Limits) -> str | None:
    """Return why the final state of the proof in ``path`` is not what was taken over; None if it is."""
    proof, wanted = open_proof(path, limits).finished(), taken(initial, state).values()
    # Read again and digested again: the files may have changed since the verification of the earlier proof ended.
    final = load_checkpoint(path, proof.claim.steps, proof.commitment.state)
    own = (proof.claim.digest().hex(), Layout(proof.commitment.state).gather(final).digest().hex())
    if own != (initial.claim, proof.claim.final_state) or proof.commitment.digest().hex() != proof.claim.commitment:
        return f"the proof that it comes from {CHANGED}"
    by_path = {leaf.path: (leaf, array) for leaf, array in zip(proof.commitment.state, final, strict=True)}
    found = []
    for leaf in wanted:
        # The PRNG counts too: a typed key of the earlier run must not come back as plain integers. Pieces don't: each
        # run cuts its leaves for its own mesh, and the digest below is by those of this one.
        like, array = by_path.get(leaf.path, (None, np.empty(0)))
        if like is None or (like.dtype, like.shape, like.prng) != (leaf.dtype, leaf.shape, leaf.prng):
            return f"the proof that it comes from has no {leaf.dtype}{list(leaf.shape)} {leaf.path or '/'}"
        found.append(array)
    if digest_of(tuple(wanted), found) != initial.digest:
        return "the leaves that were taken over are not those of the final state of the proof that it comes from"
    return None
