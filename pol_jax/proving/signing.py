"""A prover who has a key signs the commitment before step 0 and the claim after the last step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pol_jax.attesting import folder
from pol_jax.attesting.attestation import attest_claim, attest_commitment, check_document, read_attestation
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.public_key import public_text
from pol_jax.attesting.subjects import name_final
from pol_jax.errors import UsageError
from pol_jax.files import write_whole
from pol_jax.protocol import claim as claims
from pol_jax.proving.choices import Choices
from pol_jax.storage.final_arrays import read_final_state, select_parameters
from pol_jax.storage.proof import Proof


class Pace:
    """The pace is how long a step of this run took on the average, compilation left out.

    It is known only if this process ran all steps: nobody knows how fast those before an interruption were.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def see(self, step: int) -> None:
        """Note that ``step`` was recorded now."""
        if step > 0:
            self._last = step, monotonic()
            self._first = self._first or self._last

    def seconds_per_step(self, steps: int) -> float | None:
        """Return the seconds that each of ``steps`` steps took at least, or None where it is not known."""
        # From step 1 on: the time of compilation lies before it, and the pace is a lower bound on what steps take.
        if self._first is None or self._last is None or (self._first[0], self._last[0]) != (1, steps):
            return None
        return (self._last[1] - self._first[1]) / steps or None


def choices_of(choices: Choices, key: Ed25519PrivateKey | None) -> Choices:
    """Return the choices, in which the prover is who has ``key``.

    Raises:
        UsageError: they name another one, or one of the two is something else.
    """
    if not isinstance(choices, Choices):
        raise UsageError(f"choices: expected pol_jax.Choices(...), got {type(choices).__name__}")
    if not isinstance(key, Ed25519PrivateKey | None):
        raise UsageError(f"key: expected what pol_jax.read_private_key returns, got {type(key).__name__}")
    if key is None:
        return choices
    if choices.prover not in (None, public_text(key)):
        raise UsageError(f"key: is that of {public_text(key)}; the choices name the prover {choices.prover}")
    return replace(choices, prover=public_text(key))


def sign_commitment(root: Path, commitment: bytes, key: Ed25519PrivateKey) -> None:
    """Sign a commitment, before it is written or after an interruption; signing again gives the same bytes."""
    write_whole(folder.attestation_path(root, folder.COMMITMENT), attest_commitment(commitment, key))


def sign_claim(proof: Proof, key: Ed25519PrivateKey, pace: float | None = None, model: Path | None = None) -> bytes:
    """Return the envelope in which ``key`` signs the claim of a finished proof, with its final state.

    Args:
        proof: finished; its final checkpoint is read.
        key: of the prover whom the commitment names, or of anyone if it names nobody.
        pace: seconds a step, if they are known.
        model: a deployed file, whose digests are signed too.

    Raises:
        UsageError: the run is not finished, or the commitment names another prover.
        ProofError: the final state is not the claimed one.
    """
    proof = proof.finished()
    signer, prover = public_text(key), proof.commitment.prover
    if prover not in (None, signer):
        raise UsageError(
            f"the key is that of {signer}; expected {prover}, the prover whom the commitment names: only they can sign"
        )
    state = read_final_state(proof)
    subjects = name_final(
        parameters=digest_arrays(select_parameters(state)), state=digest_arrays(state), deployed=model
    )
    envelope = attest_claim(proof.claim.encode(), subjects, key, pace)
    # Read back before it is said to be signed: a key that signs wrongly is found here, and not by a verifier.
    found = read_attestation(envelope, "claim", where=folder.where(folder.CLAIM), pinned=signer)
    check_document(found, proof.claim.encode(), claims.FILE)
    return envelope


def sign_finished(proof: Proof, key: Ed25519PrivateKey, pace: float | None) -> None:
    """Sign the claim of a proof that was just finished, unless it is signed already: a timestamp may be over that.

    Raises:
        ProofError: what is there is no envelope of this key over this claim.
        StorageError: it can't be written.
    """
    path = folder.attestation_path(proof.root, folder.CLAIM)
    # A timestamp is over the bytes of the envelope, so an envelope that is there is checked and never written again.
    if not path.exists():
        write_whole(path, sign_claim(proof, key, pace))
        return
    signed = read_attestation(path.read_bytes(), "claim", where=str(path), pinned=public_text(key))
    check_document(signed, proof.finished().claim.encode(), str(path))
