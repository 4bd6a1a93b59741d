"""A verifier asks by one frozen value, which is validated where it is built, and handed on whole.

Nothing of a request ever comes from what is verified. It holds plain data, so that it can be sent to another process;
the records, the trusted source and the progress bars stay with the process that asks.
"""

from __future__ import annotations

import math
import secrets
from pathlib import Path

import msgspec

from pol_jax.errors import UsageError
from pol_jax.files import as_path
from pol_jax.protocol.challenge import check_nonce
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import (
    AllSegments,
    ListedSegments,
    ListedSteps,
    Policy,
    RandomSegments,
    StepPolicy,
    TopSegments,
    check_policy,
)


class FinalLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A final leaf is one that the final state must have, such as a leaf of a model at hand.

    Attributes:
        path: of the leaf.
        digest: hex state digest of this leaf alone.
    """

    path: str
    digest: str


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request says what a verifier asks; this part holds for a proof and for an opening alike.

    Attributes:
        nonce: decides the draw; the prover must not have foreseen it. 16 to 64 bytes where anything is drawn, in this
            proof or in an earlier one.
        limits: bounds on what is read.
        d_ref: a distance between two honest trainings of the task, against which drift is measured too; or None.
        jobs: how many processes replay at the same time.
        exact: whether nothing is to be accepted within a tolerance, in an earlier proof neither.
        leaves: paths of the leaves that matter, or of what they lie below: updates are ranked by these, and what
            tolerances add up to is held against each of these; of earlier proofs against all. None for all.
        same_program: whether another program than that of the trusted source is rejected.
        any_program: whether another one is accepted; if neither is asked for, it is inconclusive.
        final: leaves that the final state must have; a proof that ends in others is rejected, and an opening too.
        signer: the public key that must have signed the claim, ``ed25519:`` and 64 hex digits; None takes any.
        tsa_roots: certificates (PEM) of timestamping authorities that the verifier trusts; None leaves times open.
        model: file or directory of a model at hand, compared with the final state of what is accepted; or None.
    """

    nonce: bytes
    limits: Limits = Limits()
    d_ref: float | None = None
    jobs: int = 1
    exact: bool = False
    leaves: tuple[str, ...] = ()
    same_program: bool = False
    any_program: bool = False
    final: tuple[FinalLeaf, ...] = ()
    signer: str | None = None
    tsa_roots: bytes | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be answered.

        Raises:
            UsageError: a number is out of range, or two wishes contradict each other.
        """
        # One rejects what the other accepts, and silently preferring one would change verdicts.
        if self.same_program and self.any_program:
            raise UsageError("same_program, any_program: ask for only one of them")
        if self.jobs < 1:
            raise UsageError(f"jobs: {self.jobs}, expected at least 1")
        if self.d_ref is not None and not (math.isfinite(self.d_ref) and self.d_ref > 0):
            raise UsageError(f"d_ref: {self.d_ref:g}, expected a positive distance")


class ProofRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="proof"):
    """This request says what a verifier asks of a proof.

    Attributes:
        path: the proof's directory.
        policy: which segments to replay.
        secret: 32 bytes that salt the records of a private data set; or None.
        parents: directories of proofs that the initial state may come from.
        records: what the verifier calls its training records, for the report.
    """

    path: str
    policy: Policy = RandomSegments()
    nonce: bytes = msgspec.field(default_factory=lambda: fresh_nonce())
    secret: bytes | None = None
    parents: tuple[str, ...] = ()
    records: str = "the verifier's own source"

    def __post_init__(self) -> None:
        """Refuse what could not be answered.

        Raises:
            UsageError: a number is out of range, the policy would check nothing, or the nonce is too short or long.
        """
        super().__post_init__()
        check_policy(self.policy)
        if not isinstance(self.policy, AllSegments | TopSegments):  # a list too: earlier proofs are drawn from
            check_nonce(self.nonce)

    def __repr__(self) -> str:
        """Return what is asked, without the secret: a traceback may show it."""
        shown = msgspec.structs.asdict(self) | {"secret": None if self.secret is None else "..."}
        return f"ProofRequest({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def of_ancestor(self, path: Path) -> ProofRequest:
        """Ask the same of an earlier proof, in the directory ``path``, that the initial state comes from.

        Listed segments are those of this proof alone, so an earlier one is asked for random segments. ``d_ref`` is a
        distance between trainings of this proof's task; ``leaves`` are those of its state; ``final``, ``signer`` and
        ``model`` are about its end.
        """
        policy = RandomSegments() if isinstance(self.policy, ListedSegments) else self.policy
        return msgspec.structs.replace(
            self, path=str(path), policy=policy, d_ref=None, final=(), signer=None, model=None, leaves=()
        )


class OpeningRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="opening"):
    """This request says what a verifier asks of an opening.

    Attributes:
        claim: the file of the claim, or a directory that has one.
        opening: the file of the opening.
        policy: the challenge of steps that the prover was given.
    """

    claim: str
    opening: str
    policy: StepPolicy

    def __post_init__(self) -> None:
        """Refuse what could not be answered.

        Raises:
            UsageError: a number is out of range, or the nonce is too short or too long.
        """
        super().__post_init__()
        if not isinstance(self.policy, ListedSteps):
            check_nonce(self.nonce)


def fresh_nonce() -> bytes:
    """Draw a nonce that no prover can have foreseen."""
    # The least that a draw takes (section 12.1): of a shorter nonce a prover could try all values beforehand.
    return secrets.token_bytes(16)


def absolute_path(path: Path | str) -> str:
    """Name a file as other processes, which have other current directories, find it too."""
    return str(as_path(path).resolve())  # tensorstore takes no path with a ".." in it
