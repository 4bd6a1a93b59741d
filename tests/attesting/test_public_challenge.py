"""A public challenge takes the first round of one chain after the claim's timestamp, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from timestamp_authority import Authority

from pol_jax.attesting.attestation import attest_claim
from pol_jax.attesting.beacon import BeaconRound
from pol_jax.attesting.chains import MAINNET, QUICKNET
from pol_jax.attesting.digests import digest_arrays
from pol_jax.attesting.folder import Attestations
from pol_jax.attesting.public_challenge import check_public_round, claim_timestamp, first_round_after
from pol_jax.attesting.strict_json import canonical_bytes
from pol_jax.attesting.subjects import name_final
from pol_jax.attesting.time_window import Timestamp
from pol_jax.attesting.timestamp import make_request, read_roots
from pol_jax.errors import ProofError, UsageError

CLAIM = canonical_bytes({"format": "pol-jax/2", "steps": 4})
DIGESTS = digest_arrays({"/w": np.zeros(1)})
SUBJECTS = name_final(parameters=DIGESTS, state=DIGESTS)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STAMP = Timestamp(datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=5), "CN=Tests", "1.2.3", 1)


def round_of(number: int) -> BeaconRound:
    time = QUICKNET.time_of(number)
    assert time is not None
    return BeaconRound(QUICKNET.hash, number, "00" * 32, time)


@pytest.mark.parametrize("chain", [QUICKNET, MAINNET])
@pytest.mark.parametrize("number", [2, 1000, 12_345_678])
def test_a_round_comes_after_the_moment_and_the_one_before_does_not(chain: object, number: int) -> None:
    assert chain in (QUICKNET, MAINNET)
    named = QUICKNET if chain is QUICKNET else MAINNET
    time = named.time_of(number)
    assert time is not None
    for moment, expected in ((time, number + 1), (time - timedelta(microseconds=1), number)):
        assert first_round_after(moment, named) == expected
    assert first_round_after(datetime(2000, 1, 1, tzinfo=UTC), named) == 1


def test_only_the_first_round_after_the_latest_time_of_the_timestamp() -> None:
    number = first_round_after(STAMP.latest)
    check_public_round(round_of(number), STAMP, "round.json")
    for other in (number - 1, number + 1):
        with pytest.raises(UsageError, match=f"a public challenge takes round {number} of chain 52db9ba7"):
            check_public_round(round_of(other), STAMP, "round.json")
    with pytest.raises(UsageError, match="a public challenge takes"):
        check_public_round(replace(round_of(number), chain=MAINNET.hash), STAMP, "round.json")
    with pytest.raises(UsageError, match="a public challenge takes"):  # it may be earlier than the stamp's word
        check_public_round(round_of(first_round_after(STAMP.time)), STAMP, "round.json")


@pytest.mark.parametrize("accuracy", [0.0, 0.25, 0.5, 1.0, 2.75, 3.0])
def test_no_round_that_was_out_when_the_claim_was_stamped(accuracy: float) -> None:
    """Authorities cut off fractions: a claim may have been there only at the end of the second that its token names."""
    for second in range(QUICKNET.period):
        time = STAMP.time + timedelta(seconds=second)
        stamp = replace(STAMP, time=time, accuracy=timedelta(seconds=accuracy))
        stamped_at_the_latest = time + stamp.accuracy + timedelta(microseconds=999_999)
        numbers = range(first_round_after(time - timedelta(seconds=9)), first_round_after(time + timedelta(seconds=9)))
        (taken,) = [number for number in numbers if takes(round_of(number), stamp)]
        assert round_of(taken).time > stamped_at_the_latest
        assert round_of(taken - 1).time <= stamped_at_the_latest


def takes(found: BeaconRound, stamp: Timestamp) -> bool:
    try:
        check_public_round(found, stamp, "round.json")
    except UsageError:
        return False
    return True


def test_the_timestamp_is_that_of_the_signed_claim(authority: Authority) -> None:
    envelope = attest_claim(CLAIM, SUBJECTS, KEY)
    token, roots = authority.answer(make_request(envelope)), read_roots(authority.root)
    found = claim_timestamp(Attestations(claim=envelope, claim_token=token), CLAIM, roots)
    assert found is not None
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=5)
    for missing in (Attestations(claim=envelope), Attestations(claim_token=token)):
        assert claim_timestamp(missing, CLAIM, roots) is None
    other = canonical_bytes({"format": "pol-jax/2", "steps": 5})
    with pytest.raises(ProofError, match=r"claim\.dsse\.json"):
        claim_timestamp(Attestations(claim=envelope, claim_token=token), other, roots)
    again = attest_claim(CLAIM, SUBJECTS, KEY, seconds_per_step=2.5)
    with pytest.raises(ProofError, match="over another digest"):
        claim_timestamp(Attestations(claim=again, claim_token=token), CLAIM, roots)
