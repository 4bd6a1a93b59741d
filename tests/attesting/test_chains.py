"""A chain of drand is described by what its hash covers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pol_jax.attesting.chains import KNOWN, MAINNET, QUICKNET, find_chain, parse_chain
from pol_jax.errors import UsageError


def test_the_hashes_of_the_known_chains_follow_from_their_fields() -> None:
    assert MAINNET.hash == "8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce"
    assert QUICKNET.hash == "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"


INFO: dict[str, Any] = {
    "public_key": QUICKNET.public_key.hex(),
    "period": 3,
    "genesis_time": 1692803367,
    "hash": QUICKNET.hash,
    "groupHash": QUICKNET.group_hash.hex(),
    "schemeID": "bls-unchained-g1-rfc9380",
    "metadata": {"beaconID": "quicknet"},
}


def test_a_chain_is_read_from_what_drand_answers() -> None:
    assert parse_chain(json.dumps(INFO, indent=2).encode(), "info.json") == QUICKNET
    assert find_chain(MAINNET.hash, KNOWN) == MAINNET


@pytest.mark.parametrize(
    "change",
    [
        {"period": 30},
        {"genesis_time": 1692803366},
        {"public_key": MAINNET.public_key.hex()},
        {"groupHash": "00"},
        {"hash": MAINNET.hash},
        {"hash": None},
        {"metadata": {"beaconID": "quicknet2"}},
        {"metadata": None},
        {"schemeID": "bls-unchained-on-g1"},
        {"period": 0},
        {"period": 3.0},
        {"genesis_time": 2**40},
        {"more": 1},
    ],
)
def test_a_chain_whose_fields_are_not_its_hash_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected what drand's /info answers"):
        parse_chain(json.dumps(INFO | change).encode(), "info.json")
