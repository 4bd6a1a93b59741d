"""A report says which model a claim is about, who signed it, when, and on which records (docs/attestation.md)."""

from __future__ import annotations

from typing import Literal

import msgspec

from pol_jax.attesting.time_window import TimeWindow
from pol_jax.reports.curves import NonNegative


class Model(msgspec.Struct, frozen=True):
    """A model is what a claim is about, by the digests of its final state and parameters.

    Attributes:
        final_state: hex state digest of the final state, as the claim names it.
        blake3: BLAKE3 digest of the final parameters as arrays by name, in hex; None if the final state is not there.
        sha256: SHA-256 digest of the same bytes, in hex; None likewise.
    """

    final_state: str
    blake3: str | None
    sha256: str | None


class Authorship(msgspec.Struct, frozen=True):
    """An authorship says who made a claim, as far as keys show it.

    Attributes:
        prover: the public key that the commitment names, or None. It enters every seed: nobody else can have trained.
        signer: the public key that signed the claim, or None.
        commitment_signed: whether the same key signed the commitment too.
        pinned: the signer that the verifier asked for, or None.
    """

    prover: str | None
    signer: str | None
    commitment_signed: bool
    pinned: str | None

    @property
    def is_shown(self) -> bool:
        """Return whether the prover whom the commitment names signed the claim."""
        return self.prover is not None and self.signer == self.prover


class Period(msgspec.Struct, frozen=True):
    """A period says when training took place.

    Attributes:
        window: not before, not after, and how long the work takes at least.
        authorities: who timestamped, by the subject of their certificates, none twice.
        unchecked: times that are there and were not checked, and why; one line each.
    """

    window: TimeWindow
    authorities: tuple[str, ...]
    unchecked: tuple[str, ...]


class Data(msgspec.Struct, frozen=True):
    """The data are the records of a run, and what they were compared with.

    Attributes:
        root: hex Merkle root of their digests.
        records: number of them.
        salted: whether their digests are salted with a secret of the prover.
        compared: what the verifier calls the records with which those of the replayed steps were compared; None if they
            were compared with none.
    """

    root: str
    records: NonNegative
    salted: bool
    compared: str | None


ModelRelation = Literal["equal", "cast", "different"]
"""A model at hand is the final parameters bit for bit, or up to casts, or another one."""


class Deployed(msgspec.Struct, frozen=True):
    """A deployed model is one at hand; it was compared with the final parameters of an accepted proof.

    Attributes:
        difference: equal bit for bit, equal up to casts, or different.
        words: the same in a line.
        leaves: what became of leaves that are not simply equal, one line each, at most 20.
        omitted: how many such leaves are left out.
        holds_parameters: whether every final parameter is among its arrays, bit for bit or cast, whatever else it has.
        distance: Euclidean distance of all leaves that differ from their partner, as a share of their norm; None if it
            is not finite.
        nearest: the step whose checkpoint is nearest, where the model differs and another one is nearer; else None.
    """

    difference: ModelRelation
    words: str
    leaves: tuple[str, ...]
    omitted: NonNegative
    holds_parameters: bool
    distance: float | None
    nearest: NonNegative | None
