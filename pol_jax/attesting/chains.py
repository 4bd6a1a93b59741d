"""The chains of drand, a public beacon, say which group signs a round, and when a round comes out.

A chain's hash covers its public key, period and first moment, so that the hash alone pins all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pol_jax.attesting.digests import sha256
from pol_jax.attesting.strict_json import check_fields, parse_object
from pol_jax.errors import ProofError, UsageError

Scheme = Literal["pedersen-bls-chained", "pedersen-bls-unchained", "bls-unchained-g1-rfc9380"]

SCHEMES: Final[dict[str, tuple[int, int]]] = {
    "pedersen-bls-chained": (48, 96),
    "pedersen-bls-unchained": (48, 96),
    "bls-unchained-g1-rfc9380": (96, 48),
}
"""Bytes of a public key and of a signature: one is a point of G1, the other of G2."""

_MAX_BYTES: Final = 2**14
_MAX_PERIOD: Final = 86_400
_MAX_GENESIS: Final = 2**33
MAX_ROUND: Final = 2**40
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*\Z")
_FIELDS: Final = {"public_key", "period", "genesis_time", "hash", "groupHash", "schemeID", "metadata"}


@dataclass(frozen=True)
class Chain:
    """A chain is a series of rounds, each signed by the same group.

    Attributes:
        public_key: of the group, compressed point of BLS12-381.
        period: seconds from round to round.
        genesis_time: Unix time of round 1.
        group_hash: digest of the first group, 32 bytes.
        scheme: how rounds are signed.
        beacon_id: the chain's name.
    """

    public_key: bytes
    period: int
    genesis_time: int
    group_hash: bytes
    scheme: Scheme
    beacon_id: str

    @property
    def hash(self) -> str:
        """Return what names the chain to the world: SHA-256 of period, first moment, key, first group and name."""
        content = self.period.to_bytes(4, "big") + self.genesis_time.to_bytes(8, "big")
        # As drand has it: the chain that is older than names of chains keeps its hash.
        name = b"" if self.beacon_id == "default" else self.beacon_id.encode()
        return sha256(content + self.public_key + self.group_hash + name).hex()

    def time_of(self, number: int) -> datetime | None:
        """Return when round ``number`` comes out; nobody knows it earlier, unless most of the group conspires."""
        seconds = self.genesis_time + (number - 1) * self.period
        return datetime.fromtimestamp(seconds, UTC) if 1 <= number <= MAX_ROUND and seconds < _LAST else None


MAINNET: Final = Chain(
    public_key=bytes.fromhex(
        "868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a569937c529eeda66c7293784a9402801af31"
    ),
    period=30,
    genesis_time=1595431050,
    group_hash=bytes.fromhex("176f93498eac9ca337150b46d21dd58673ea4e3581185f869672e59fa4cb390a"),
    scheme="pedersen-bls-chained",
    beacon_id="default",
)

QUICKNET: Final = Chain(
    public_key=bytes.fromhex(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc2"
        "2b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    period=3,
    genesis_time=1692803367,
    group_hash=bytes.fromhex("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"),
    scheme="bls-unchained-g1-rfc9380",
    beacon_id="quicknet",
)

KNOWN: Final = (QUICKNET, MAINNET)
"""The chains of the League of Entropy, which a verifier takes unless it names another."""


def find_chain(name: str, given: tuple[Chain, ...] = KNOWN) -> Chain:
    """Return the chain with the hash ``name`` among those that the verifier takes.

    Raises:
        ProofError: it is none of them.
    """
    for chain in given:
        if chain.hash == name:
            return chain
    expected = ", ".join(f"{chain.beacon_id} ({chain.hash[:8]}...)" for chain in given)
    raise ProofError("beacon", f"is of the chain {name[:64]!r}; expected one of {expected}")


def parse_chain(content: bytes, where: str) -> Chain:
    """Return the chain that a file describes: what drand's ``/info`` answers. The verifier gives it, not the proof.

    Raises:
        UsageError: malformed, or its fields don't give its hash.
    """
    try:
        return _parse(content, where)
    except ProofError as error:
        raise UsageError(f"{error}; expected what drand's /info answers") from None


def hex_bytes(found: Any, length: int | None, field: str, where: str) -> bytes:
    """Return the bytes of a hex field of untrusted JSON.

    Raises:
        ProofError: no lower-case hex, or of another length.
    """
    if not isinstance(found, str) or not _HEX.match(found) or (length is not None and len(found) != 2 * length):
        raise ProofError(where, f"{field}: expected {'' if length is None else f'{2 * length} '}lower-case hex digits")
    return bytes.fromhex(found)


def _parse(content: bytes, where: str) -> Chain:
    found = parse_object(content, where, most=_MAX_BYTES, canonical=False)
    check_fields(found, _FIELDS, where)
    scheme, metadata = found["schemeID"], found["metadata"]
    if scheme not in SCHEMES:
        raise ProofError(where, f"schemeID: got {str(scheme)[:60]!r}; expected one of {', '.join(SCHEMES)}")
    name = metadata.get("beaconID") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.isascii():
        raise ProofError(where, "metadata.beaconID: expected 1 to 64 ASCII characters")
    for field, most in (("period", _MAX_PERIOD), ("genesis_time", _MAX_GENESIS)):
        if type(found[field]) is not int or not 1 <= found[field] <= most:
            raise ProofError(where, f"{field}: expected an integer from 1 to {most}")
    chain = Chain(
        public_key=hex_bytes(found["public_key"], SCHEMES[scheme][0], "public_key", where),
        period=found["period"],
        genesis_time=found["genesis_time"],
        group_hash=hex_bytes(found["groupHash"], 32, "groupHash", where),
        scheme=scheme,
        beacon_id=name,
    )
    # The hash is computed and not believed: a commitment names the chain by it alone.
    if chain.hash != found["hash"]:
        raise ProofError(where, f"hash: got {str(found['hash'])[:64]!r}; its fields give {chain.hash}")
    return chain
