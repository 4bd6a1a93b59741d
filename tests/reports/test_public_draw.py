"""A report says of which round its nonce is, and whether the claim's timestamp calls for it."""

from __future__ import annotations

from pol_jax.reports.public_draw import PublicDraw

ROUND = "drand:52db9ba7:1000:fe29"


def test_a_round_after_the_claim_s_timestamp() -> None:
    drawn = PublicDraw(ROUND, "2023-08-23T15:59:24+00:00", "2023-08-23T15:59:22+00:00")
    assert drawn.describe() == (
        f"the nonce is {ROUND}, which came out at 2023-08-23T15:59:24+00:00, the first round after the claim's "
        "timestamp of 2023-08-23T15:59:22+00:00"
    )


def test_a_round_that_was_held_against_no_timestamp() -> None:
    """The words must not read as if the prover could not have known it."""
    assert "the prover may have known it" in PublicDraw(ROUND, "2023-08-23T15:59:24+00:00", None).describe()
