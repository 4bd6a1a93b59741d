"""A beacon's round is a public random value that nobody knew before a moment: what names it was made after that.

The round's signature is checked from the chain's public key alone (BLS on the curve BLS12-381), without network. The
commitment holds the round as text; the file with the signature lies beside it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from py_arkworks_bls12381 import GT, G1Point, G2Point

from pol_jax.attesting.chains import KNOWN, MAX_ROUND, SCHEMES, Chain, find_chain, hex_bytes
from pol_jax.attesting.digests import sha256
from pol_jax.attesting.strict_json import check_fields, parse_object
from pol_jax.attesting.time_window import CLOCK_SLACK
from pol_jax.errors import ProofError

_MAX_BYTES: Final = 2**12

_DST_G1: Final = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
_DST_G2: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"
"""Domain separation tags of RFC 9380 hashing, as drand uses them."""

_TEXT: Final = re.compile(r"drand:([0-9a-f]{64}):([1-9][0-9]{0,12}):([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class BeaconRound:
    """A round of a beacon is a public random value whose signature verified.

    Attributes:
        chain: hash of the chain.
        number: of the round.
        randomness: the public value, 64 hex digits.
        time: when it came out; nobody knew it earlier.
    """

    chain: str
    number: int
    randomness: str
    time: datetime

    def text(self) -> str:
        """Return what a commitment names the round by."""
        return f"drand:{self.chain}:{self.number}:{self.randomness}"

    def describe(self) -> str:
        """Return one line that says what the round shows."""
        return (
            f"Training began after {self.time:%Y-%m-%d %H:%M:%S} UTC: the commitment names round {self.number} of "
            f"drand chain {self.chain[:8]}..., which nobody knew earlier."
        )


def verify_round(content: bytes, chain: Chain, *, now: datetime, where: str) -> BeaconRound:
    """Return the round in ``content``, if the chain's group signed it.

    Args:
        content: what drand's ``/public/ROUND`` answers, untrusted.
        chain: which the verifier takes; see `find_chain`.
        now: the verifier's clock. A round of the future can't have been signed yet, so that somebody has the key.
        where: file name, for errors.

    Raises:
        ProofError: malformed, of another chain, not signed, or of the future.
    """
    found = parse_object(content, where, most=_MAX_BYTES, canonical=False)
    chained = chain.scheme == "pedersen-bls-chained"
    check_fields(found, {"round", "randomness", "signature"} | ({"previous_signature"} if chained else set()), where)
    number = found["round"]
    time = chain.time_of(number) if type(number) is int else None
    if time is None:
        raise ProofError(where, f"round: got {str(number)[:40]}; expected an integer from 1 to {MAX_ROUND}")
    signature = hex_bytes(found["signature"], SCHEMES[chain.scheme][1], "signature", where)
    previous = hex_bytes(found["previous_signature"], None, "previous_signature", where) if chained else b""
    # The signature is checked, and the randomness follows from it: a file can't have a value of its own beside it.
    if sha256(signature).hex() != found["randomness"]:
        raise ProofError(where, "randomness: expected the SHA-256 of the signature")
    message = sha256(previous + number.to_bytes(8, "big"))
    if not _is_signed(chain, message, signature, where):
        raise ProofError(where, f"round {number} is not signed by drand chain {chain.hash[:8]}... ({chain.beacon_id})")
    if time > now + CLOCK_SLACK:
        raise ProofError(where, f"round {number} is of {time:%Y-%m-%d %H:%M:%S} UTC, in the future of this clock")
    return BeaconRound(chain.hash, number, found["randomness"], time)


def read_round(content: bytes, *, now: datetime, where: str, chains: tuple[Chain, ...] = KNOWN) -> BeaconRound:
    """Return the round in ``content``, whichever of ``chains`` it is of; what a prover commits to.

    Raises:
        ProofError: as `verify_round`, of the last chain that has rounds of this form.
    """
    found = parse_object(content, where, most=_MAX_BYTES, canonical=False)
    chained = "previous_signature" in found
    *first, last = [chain for chain in chains if (chain.scheme == "pedersen-bls-chained") == chained] or chains
    for chain in first:
        with suppress(ProofError):
            return verify_round(content, chain, now=now, where=where)
    return verify_round(content, last, now=now, where=where)


def is_round(text: str) -> bool:
    """Return whether a commitment's ``beacon`` names a drand round; it may be any other public value."""
    return _TEXT.match(text) is not None


def verify_committed_round(
    text: str, content: bytes, *, now: datetime, where: str, chains: tuple[Chain, ...] = KNOWN
) -> BeaconRound:
    """Return the round that a commitment names, if its file verifies under one of ``chains`` and is the same round.

    Args:
        text: the commitment's field ``beacon``.
        content: the round's file.
        now: the verifier's clock.
        where: file name, for errors.
        chains: which the verifier takes.

    Raises:
        ProofError: the text names no round, or another one, or the round doesn't verify.
    """
    named = _TEXT.match(text)
    if not named:
        raise ProofError("commitment.json", f"beacon: got {text[:80]!r}; expected drand:CHAIN:ROUND:RANDOMNESS")
    found = verify_round(content, find_chain(named[1], chains), now=now, where=where)
    if found.text() != text:
        raise ProofError(where, f"is round {found.number} ({found.randomness[:8]}...); the commitment names {text}")
    return found


def _is_signed(chain: Chain, message: bytes, signature: bytes, where: str) -> bool:
    """Say whether e(signature, generator) == e(hash of the message, key), in the groups of the scheme.

    Both sides are one check: with a sign on one of them, their product must be 1.
    """
    if chain.scheme == "bls-unchained-g1-rfc9380":
        key, signed = _g2(chain.public_key, "public key", where), _g1(signature, "signature", where)
        return GT.pairing_check([signed, -G1Point.hash_to_curve(message, _DST_G1)], [G2Point(), key])
    own, point = _g1(chain.public_key, "public key", where), _g2(signature, "signature", where)
    return GT.pairing_check([G1Point(), -own], [point, G2Point.hash_to_curve(message, _DST_G2)])


def _g1(content: bytes, what: str, where: str) -> G1Point:
    try:
        point = G1Point.from_compressed_bytes(content)  # on the curve, and in the subgroup
    except ValueError:
        raise _no_point(what, where) from None
    # With a key and a signature at infinity, both sides of the check would be 1 for any message.
    if point == G1Point.identity() or point.to_compressed_bytes() != content:
        raise _no_point(what, where)
    return point


def _g2(content: bytes, what: str, where: str) -> G2Point:
    try:
        point = G2Point.from_compressed_bytes(content)
    except ValueError:
        raise _no_point(what, where) from None
    if point == G2Point.identity() or point.to_compressed_bytes() != content:
        raise _no_point(what, where)
    return point


def _no_point(what: str, where: str) -> ProofError:
    return ProofError(where, f"the {what} is no point of the right group of BLS12-381, or not written canonically")
