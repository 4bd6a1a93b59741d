"""An attestation is a signed in-toto Statement v1 about a claim (after the last step) or a commitment (before step 0).

The predicate holds the document itself, so that an envelope can be read without the rest of the proof, and its
canonical bytes are those of the document's file: who has both compares them byte for byte. That of a claim also holds
the pace of the training, as the prover measured it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting import envelope
from pol_jax.attesting.digests import Digests, digest_bytes
from pol_jax.attesting.strict_json import JsonObject, canonical_bytes, check_fields, parse_object
from pol_jax.attesting.subjects import (
    COMMITMENT,
    PARAMETERS,
    STATE,
    Subject,
    parse_subjects,
    subject_entry,
)
from pol_jax.errors import ProofError, UsageError

Kind = Literal["claim", "commitment"]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"

PREDICATE_TYPES: Final[dict[Kind, str]] = {
    "claim": "https://pol_jax/claim/v1",
    "commitment": "https://pol_jax/commitment/v1",
}
"""Versioned URIs, as in-toto asks for. They are compared byte by byte, and nothing is fetched from them."""

MAX_SECONDS_PER_STEP: Final = 1e9

_FIELDS: Final = {"_type", "predicate", "predicateType", "subject"}


@dataclass(frozen=True)
class Attestation:
    """An attestation is what an envelope says, after its signatures verified.

    Attributes:
        kind: whether it is about a claim or a commitment.
        document: canonical bytes of the claim or commitment that was signed.
        subjects: what it is about, by digest.
        signers: public keys as text.
        pinned: the signer that the verifier asked for and found; None if the verifier named none.
        seconds_per_step: of the training, by the prover's word; None if they recorded none, and for a commitment.
    """

    kind: Kind
    document: bytes
    subjects: tuple[Subject, ...]
    signers: tuple[str, ...]
    pinned: str | None
    seconds_per_step: float | None = None

    def digests_of(self, name: str) -> Digests | None:
        """Return the digests of the subject called ``name``, or None."""
        return next((subject.digests for subject in self.subjects if subject.name == name), None)

    def describe(self) -> str:
        """Return one line that says who signed, and whether the verifier asked for that signer."""
        if self.pinned is not None:
            return f"The {self.kind} is signed by {self.pinned}, the signer that was asked for."
        who = ", ".join(self.signers)
        return f"The {self.kind} is signed by {who}; no signer was asked for, so whose key it is stays open."


def attest_claim(
    claim: bytes, subjects: Sequence[Subject], key: Ed25519PrivateKey, seconds_per_step: float | None = None
) -> bytes:
    """Return an envelope in which ``key`` signs a claim.

    Args:
        claim: canonical bytes of the claim.
        subjects: final parameters and final state, and the deployed file where there is one; see `name_final`.
        key: the private half of the key that the commitment names.
        seconds_per_step: the pace of the training: all steps together took at least so long for each; or None.

    Raises:
        UsageError: a subject is missing, or occurs twice, or the pace is no positive time.
        ProofError: ``claim`` is no canonical JSON document.
    """
    names = [subject.name for subject in subjects]
    if len(set(names)) != len(names) or not {PARAMETERS, STATE} <= set(names):
        raise UsageError(f"an attestation needs the subjects {PARAMETERS!r} and {STATE!r}, each name once; got {names}")
    if seconds_per_step is not None and not _is_pace(seconds_per_step):
        raise UsageError(f"a pace of {seconds_per_step} seconds a step; expected one above 0, at most 1e9")
    return envelope.sign(_statement("claim", claim, subjects, {"seconds_per_step": seconds_per_step}), key)


def attest_commitment(commitment: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return an envelope in which ``key`` signs a commitment, before there is a model: its subject is the commitment.

    Raises:
        ProofError: ``commitment`` is no canonical JSON document.
    """
    return envelope.sign(_statement("commitment", commitment, [_commitment_subject(commitment)]), key)


def read_attestation(
    content: bytes, kind: Kind, *, where: str, pinned: str | None = None, signatures: int = 1
) -> Attestation:
    """Return what an envelope attests, if all its signatures verify and it is of the right kind.

    Args:
        content: the envelope's bytes, untrusted.
        kind: what it must be about; a signed commitment is never taken for a signed claim.
        where: file name, for errors.
        pinned: public key text of the signer that must be among the signers (see `read_signer`); None pins nobody,
            and the attestation says so.
        signatures: how many signatures there must be.

    Raises:
        ProofError: malformed, not verified, or signed by another than ``pinned``.
    """
    signed = envelope.verify_envelope(content, where, signatures=signatures)
    if pinned is not None and pinned not in signed.signers:
        raise ProofError(where, f"signed by {', '.join(signed.signers)}; expected the signer {pinned}")
    predicate, subjects = _parse_statement(signed.payload, kind, where)
    # An envelope is canonical JSON, and so is the document in it: these are the bytes of the document's own file.
    document = canonical_bytes(predicate[kind])
    _check_subjects(kind, document, subjects, where)
    pace = predicate.get("seconds_per_step")
    return Attestation(kind, document, subjects, signed.signers, pinned, None if pace is None else float(pace))


def check_document(attestation: Attestation, document: bytes, where: str) -> None:
    """Refuse an attestation of another document than the one at hand.

    Raises:
        ProofError: they differ.
    """
    if attestation.document != document:
        raise ProofError(
            where, f"signs another {attestation.kind} than the one at hand; expected the envelope of this one"
        )


def names_prover(attestation: Attestation, prover: str | None, where: str) -> bool:
    """Say whether the signer is the prover that the commitment names; False where it names none.

    The key in the commitment enters every seed, so only its holder's signature says who trained. A signature over a
    proof whose commitment names nobody shows who signed, and that may be a thief.

    Args:
        attestation: of the claim or the commitment.
        prover: the commitment's field ``prover``.
        where: file name, for errors.

    Raises:
        ProofError: the commitment names a prover, and somebody else signed.
    """
    if prover is None:
        return False
    if prover not in attestation.signers:
        who = ", ".join(attestation.signers)
        raise ProofError(where, f"signed by {who}; expected {prover}, the prover whom the commitment names")
    return True


def _statement(
    kind: Kind, document: bytes, subjects: Sequence[Subject], more: Mapping[str, float | None] | None = None
) -> bytes:
    # Half of an envelope is 2^24 bytes, the limit of a document (protocol.md, section 11).
    found = parse_object(document, f"{kind}.json", most=envelope.MAX_BYTES // 2)
    statement = {
        "_type": STATEMENT_TYPE,
        "predicate": {kind: found, **(more or {})},
        "predicateType": PREDICATE_TYPES[kind],
        "subject": [subject_entry(subject) for subject in subjects],
    }
    return canonical_bytes(statement)


def _parse_statement(payload: bytes, kind: Kind, where: str) -> tuple[JsonObject, tuple[Subject, ...]]:
    """Return the predicate, whose fields are checked, and the subjects."""
    found = parse_object(payload, where, most=envelope.MAX_BYTES)
    check_fields(found, _FIELDS, where)
    for field, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPES[kind])):
        if found[field] != expected:
            raise ProofError(where, f"got {field} {str(found[field])[:80]!r}; expected {expected!r}")
    predicate = found["predicate"]
    if not isinstance(predicate, dict):
        raise ProofError(where, f"predicate: expected an object with the {kind}")
    check_fields(predicate, {kind, "seconds_per_step"} if kind == "claim" else {kind}, where, "predicate")
    if not isinstance(predicate[kind], dict):
        raise ProofError(where, f"predicate.{kind}: expected the {kind}, an object")
    pace = predicate.get("seconds_per_step")
    if pace is not None and not _is_pace(pace):
        raise ProofError(where, "predicate.seconds_per_step: expected null, or a number above 0, at most 1e9")
    return predicate, parse_subjects(found["subject"], where)


def _is_pace(value: object) -> bool:
    # By the very type: `True` is an `int` in Python.
    return type(value) in {int, float} and 0 < value <= MAX_SECONDS_PER_STEP  # type: ignore[operator]  # a number


def _check_subjects(kind: Kind, document: bytes, subjects: tuple[Subject, ...], where: str) -> None:
    names = {subject.name for subject in subjects}
    if kind == "claim" and not {PARAMETERS, STATE} <= names:
        raise ProofError(where, f"subject: expected {PARAMETERS!r} and {STATE!r} among the subjects")
    if kind == "commitment" and subjects != (_commitment_subject(document),):
        raise ProofError(where, f"subject: expected {COMMITMENT!r} alone, with the digests of the signed commitment")


def _commitment_subject(document: bytes) -> Subject:
    return Subject(COMMITMENT, digest_bytes([document]))
