"""Where an initial state comes from, checked: what it takes over, and the chain of proofs that this leads to.

A proof names the one that it starts from by the digest of its claim. That one is verified in the same way, and so is
the one before it. A claim can't name itself by its digest; a chain is followed to a bound all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from pol_jax.errors import PolError, ProofError, UsageError
from pol_jax.protocol import claim as claims
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import EarlierProof, OwnKey, UnprovenWeights, taken
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.report import Ancestor, Beginning, Outcome, Provenance, Report, Verdict
from pol_jax.reports.wording import notices
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.proof import open_proof
from pol_jax.training.initial_state import digest_of

MOST_ANCESTORS: Final = 16
"""How many proofs a verifier follows, one before the other."""


@dataclass(frozen=True)
class Lineage:
    """What a verifier has to follow a chain of proofs with.

    Attributes:
        known: directories of earlier proofs, by the hex digest of the claim in each.
        way: hex digests of the claims from the first that was asked about to the one that is verified now.
    """

    known: Mapping[str, Path]
    way: tuple[str, ...] = ()


_BEGINNINGS: Final = {
    OwnKey: Beginning.OWN_KEY,
    EarlierProof: Beginning.EARLIER_PROOF,
    UnprovenWeights: Beginning.UNPROVEN_WEIGHTS,
}

Verify: TypeAlias = Callable[[Path, Lineage], Report]
"""Verifies an earlier proof as the one that starts from it."""


@dataclass(frozen=True)
class Traced:
    """What came of following a chain.

    Attributes:
        ancestors: the earlier proofs that were verified, the latest first.
        refusal: why the proof that starts from them is to be rejected, or None.
        doubt: why it can't be accepted, or None.
    """

    ancestors: tuple[Ancestor, ...] = ()
    refusal: str | None = None
    doubt: str | None = None


def know(paths: Iterable[Path], limits: Limits) -> Lineage:
    """What can be followed with the proofs in these directories.

    Raises:
        UsageError: one has no claim that can be read.
    """
    known = {}
    for path in paths:
        try:
            claim = Claim.parse(read_bounded(path, claims.FILE, limits))
        except PolError as error:
            raise UsageError(f"--parent {path}: no finished proof here: {error}") from error
        known[claim.digest().hex()] = path
    return Lineage(known)


def provenance_of(commitment: Commitment) -> Provenance:
    """Where the initial state comes from, by the commitment."""
    initial, leaves = commitment.initial, taken(commitment.initial, commitment.state).values()
    return Provenance(
        beginning=_BEGINNINGS[type(initial)],
        claim=initial.claim if isinstance(initial, EarlierProof) else None,
        digest=None if isinstance(initial, OwnKey) else initial.digest,
        taken=tuple(leaf.path for leaf in leaves),
        values=sum(prod(leaf.shape) for leaf in leaves),
        leaves=len(commitment.state),
    )


def check_taken(commitment: Commitment, leaves: Sequence[np.ndarray], where: str) -> None:
    """A part of stage 7: an initial state has the leaves that the commitment fixed. Bits, on any backend.

    Args:
        commitment: of the proof.
        leaves: of the initial state.
        where: it was found.

    Raises:
        ProofError: it has others.
    """
    if isinstance(commitment.initial, OwnKey):
        return
    places = taken(commitment.initial, commitment.state)
    if digest_of(tuple(places.values()), [leaves[at] for at in places]) != commitment.initial.digest:
        raise ProofError(where, "the leaves that were taken over are not those that the commitment fixed")


def trace(commitment: Commitment, claim: Claim, lineage: Lineage, verify: Verify, limits: Limits) -> Traced:
    """A part of stage 7: verify the proof that the initial state comes from, and that it is this one's state.

    Args:
        commitment: of the proof that is verified.
        claim: of the same.
        lineage: what there is to follow.
        verify: verifies an earlier proof.
        limits: bounds on what is read.
    """
    if not isinstance(commitment.initial, EarlierProof):
        return Traced()
    earlier, way = commitment.initial.claim, (*lineage.way, claim.digest().hex())
    if earlier in way:
        return Traced(refusal=f"the chain of proofs comes to the claim {earlier} again")
    if len(way) > MOST_ANCESTORS:
        return Traced(doubt=f"the chain has more than {MOST_ANCESTORS} earlier proofs; this verifier follows no more")
    if earlier not in lineage.known:
        return Traced(doubt=f"it comes from the run with the claim {earlier}, whose proof is missing: add --parent DIR")
    path = lineage.known[earlier]
    report = verify(path, Lineage(lineage.known, way))
    ancestors = (_ancestor(earlier, report), *report.ancestors)
    name = f"the proof of the claim {earlier}, which it comes from,"
    if report.claim not in (None, earlier):
        return Traced(ancestors, refusal=f"{name} is no longer where it was")
    if report.verdict is Verdict.REJECTED:
        return Traced(ancestors, refusal=f"{name} is rejected: {_why(report)}")
    readable = report.stages[5].outcome is Outcome.PASSED
    refusal = _difference(commitment.initial, commitment.state, path, limits) if readable else None
    doubt = f"{name} is inconclusive: {_why(report)}" if report.verdict is Verdict.INCONCLUSIVE else None
    return Traced(ancestors, refusal, doubt)


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
    )


def _why(report: Report) -> str:
    """The first reason for the verdict."""
    return report.reasons[len(notices(report.provenance, report.ancestors))]


def _difference(initial: EarlierProof, state: StateSpec, path: Path, limits: Limits) -> str | None:
    """Why the final state of the proof in ``path`` is not what was taken over; None if it is."""
    proof, wanted = open_proof(path, limits), taken(initial, state).values()
    assert proof.claim is not None  # noqa: S101  # it passed stage 6
    final = load_checkpoint(path, proof.claim.steps, proof.commitment.state)
    there = {leaf.path: (leaf, array) for leaf, array in zip(proof.commitment.state, final, strict=True)}
    found = []
    for leaf in wanted:
        like, array = there.get(leaf.path, (None, np.empty(0)))
        if like is None or (like.dtype, like.shape, like.prng) != (leaf.dtype, leaf.shape, leaf.prng):
            return f"the proof that it comes from has no {leaf.dtype}{list(leaf.shape)} {leaf.path or '/'}"
        found.append(array)
    if digest_of(tuple(wanted), found) != initial.digest:
        return "the leaves that were taken over are not those of the final state of the proof that it comes from"
    return None
