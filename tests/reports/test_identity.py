"""Who made a claim is shown only by the signature of the prover whom the commitment names."""

from __future__ import annotations

import msgspec
import pytest

from pol_jax.reports.identity import Authorship, Deployed

PROVER, OTHER = "ed25519:" + "1" * 64, "ed25519:" + "2" * 64


@pytest.mark.parametrize(
    ("prover", "signer", "shown"),
    [(PROVER, PROVER, True), (PROVER, OTHER, False), (PROVER, None, False), (None, OTHER, False), (None, None, False)],
)
def test_a_signature_shows_the_prover_whom_the_commitment_names(
    prover: str | None, signer: str | None, shown: bool
) -> None:
    assert Authorship(prover, signer, commitment_signed=True, pinned=OTHER).is_shown is shown


def test_a_model_at_hand_has_one_of_three_differences() -> None:
    known = {"words": "", "leaves": [], "omitted": 0, "holds_parameters": True, "distance": None, "nearest": None}
    for difference in ("equal", "cast", "different"):
        assert msgspec.convert(known | {"difference": difference}, Deployed).difference == difference
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(known | {"difference": "nearly equal"}, Deployed)
