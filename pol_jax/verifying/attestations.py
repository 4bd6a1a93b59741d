"""A proof's attestations are compared with the proof: signer, times, and the signed digests.

Stage 3 reads them, and stage 6 compares the digests that were signed. What is there and false is a refusal; what is
missing is said, and is a refusal of nothing, unless the verifier asked for a signer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pol_jax.attesting import folder
from pol_jax.attesting.attestation import Attestation, check_document, names_prover, read_attestation
from pol_jax.attesting.beacon import is_round, verify_committed_round
from pol_jax.attesting.digests import Digests, digest_arrays
from pol_jax.attesting.folder import Attestations, where
from pol_jax.attesting.subjects import PARAMETERS, STATE
from pol_jax.attesting.time_window import Timestamp, Work, window_of
from pol_jax.attesting.timestamp import ForeignAuthorityError, parse_roots, verify_token
from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.reports.identity import Authorship, Period


@dataclass(frozen=True)
class Attested:
    """Attested is what the attestations of a proof show, all of it verified.

    Attributes:
        authorship: who signed.
        period: when it was made.
        claim: the signed claim, or None.
        doubts: why nothing is accepted, although nothing is false; one line each.
    """

    authorship: Authorship
    period: Period
    claim: Attestation | None
    doubts: tuple[str, ...]


def check_attestations(
    found: Attestations, commitment: Commitment, claim: Claim, signer: str | None, roots: bytes | None
) -> Attested:
    """Check what lies in the attestations of a proof or a bundle.

    Args:
        found: the files (`read_attestations`).
        commitment: of the proof.
        claim: of the proof, which names this commitment.
        signer: public key that must have signed, or None to take any.
        roots: certificates (PEM) of the timestamping authorities that the verifier trusts; None leaves tokens open.

    Raises:
        ProofError: something is false: another signer, another document, a time that can't be.
        UsageError: ``roots`` has no certificate.
    """
    # The commitment's own key comes first: it is in every seed, and a signature can be added by anyone.
    if signer is not None and commitment.prover not in (None, signer):
        raise ProofError(
            "commitment.json", f"prover: the commitment names {commitment.prover}; expected the signer {signer}"
        )
    signed = _signed_claim(found, commitment, claim, signer)
    before = _signed_commitment(found, commitment)
    # Else anyone could sign a claim over a commitment that another prover signed before step 0, and share its date.
    if signed and before and not {*before.signers} & {*signed.signers}:
        raise ProofError(where(folder.COMMITMENT), "is signed by another key than the claim is")
    who = Authorship(
        prover=commitment.prover,
        signer=signed.signers[0] if signed else None,
        commitment_signed=before is not None,
        pinned=signer,
    )
    work = recorded_work(signed, claim) if signed else None
    period, doubts = check_times(found, commitment.encode(), commitment.beacon, work, roots)
    if signer is not None and signed is None:
        unsigned = (
            f"the claim is not signed, so that nothing shows that it is of {signer}, the signer that was asked for"
        )
        # Unsigned is no proof of another signer: the prover may still sign, so it is open and not false.
        doubts = (unsigned, *doubts)
    return Attested(who, period, signed, doubts)


def recorded_work(signed: Attestation, claim: Claim) -> Work | None:
    """Return the work that the training took, by the pace that was signed with its claim; None if there is none.

    Raises:
        ProofError: it is no time that training takes.
    """
    if signed.seconds_per_step is None:
        return None
    work = Work(claim.steps, signed.seconds_per_step, "recorded by the prover")
    try:
        _ = work.least
    except ValueError as error:
        raise ProofError(where(folder.CLAIM), f"predicate.seconds_per_step: {error}") from None
    return work


def check_signed_digests(signed: Attestation, state: Mapping[str, np.ndarray], parameters: Digests) -> None:
    """Refuse an envelope over other arrays than the final state at hand has.

    Args:
        signed: the signed claim.
        state: the final state by path, which has the digest that the claim names.
        parameters: digests of its final parameters.

    Raises:
        ProofError: the digests differ.
    """
    for name, digests in ((PARAMETERS, parameters), (STATE, digest_arrays(state))):
        if signed.digests_of(name) != digests:
            raise ProofError(where(folder.CLAIM), f"signs another {name} than the proof has")


def check_times(
    found: Attestations, commitment: bytes, beacon: str | None, work: Work | None, roots: bytes | None
) -> tuple[Period, tuple[str, ...]]:
    """Return when training took place, as far as verified times show it, and which timestamps show nothing here.

    Args:
        found: the files.
        commitment: bytes of the document.
        beacon: what the commitment names as its beacon, or None.
        work: what the training took; or None.
        roots: see `check_attestations`.

    Raises:
        ProofError: a time is false, or they can't be true together.
    """
    now, unchecked, doubts = datetime.now(UTC), list[str](), list[str]()
    drawn = None
    # A beacon may be any public text (section 2.1); only one that names a drand round can be verified here.
    if beacon is not None and found.beacon is not None and is_round(beacon):
        drawn = verify_committed_round(beacon, found.beacon, now=now, where=where(folder.BEACON))
    elif beacon is not None:
        unchecked.append(f"the commitment names the beacon {beacon}, which was not checked")
    stamps: list[Timestamp | None] = []
    for name, token, message in (
        (folder.COMMITMENT_TOKEN, found.commitment_token, commitment),
        (folder.CLAIM_TOKEN, found.claim_token, found.claim),
    ):
        stamps.append(None)
        if token is None:
            continue
        if roots is None:
            unchecked.append(f"the timestamp {where(name)} was not checked: no root of an authority was given")
        elif message is None:
            raise ProofError(where(name), f"is a timestamp over {folder.CLAIM}, which is missing")
        else:
            try:
                stamps[-1] = verify_token(token, message, parse_roots(roots, "roots"), where=where(name))
            except ForeignAuthorityError as error:
                # An honest prover may have asked an authority that this verifier doesn't know.
                doubts.append(str(error))
    # Times that hold one by one may still contradict each other: a claim before its commitment, or before a beacon was
    # known, or more work than the time between them has room for.
    window = window_of(
        now=now, beacon=drawn.time if drawn else None, commitment=stamps[0], envelope=stamps[1], work=work
    )
    if not window:
        raise ProofError(folder.DIRECTORY, " ".join(window.problems))
    authorities = tuple(dict.fromkeys(stamp.authority for stamp in stamps if stamp))
    return Period(window, authorities, (*unchecked, *doubts)), tuple(doubts)


def _signed_claim(found: Attestations, commitment: Commitment, claim: Claim, signer: str | None) -> Attestation | None:
    if found.claim is None:
        return None
    name = where(folder.CLAIM)
    signed = read_attestation(found.claim, "claim", where=name, pinned=signer)
    # The signature is over a document inside the envelope, so that document must be the claim at hand, byte for byte.
    check_document(signed, claim.encode(), name)
    names_prover(signed, commitment.prover, name)
    return signed


def _signed_commitment(found: Attestations, commitment: Commitment) -> Attestation | None:
    if found.commitment is None:
        return None
    name = where(folder.COMMITMENT)
    signed = read_attestation(found.commitment, "commitment", where=name)
    check_document(signed, commitment.encode(), name)
    names_prover(signed, commitment.prover, name)
    return signed
