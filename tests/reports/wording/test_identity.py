"""Who signed, in words: anonymous, unsigned and unpinned are never mistaken for an author who is shown."""

from __future__ import annotations

import pytest

from pol_jax.reports.identity import Authorship, Data, Model
from pol_jax.reports.wording.identity import describe_authorship, describe_data, describe_model, is_settled

PROVER, OTHER = "ed25519:" + "1" * 64, "ed25519:" + "2" * 64


@pytest.mark.parametrize(
    ("prover", "signer", "pinned", "words", "settled"),
    [
        (None, None, None, "anonymous: the commitment names no prover, and the claim is not signed", False),
        (None, OTHER, OTHER, "which shows who signed, and not who trained", False),
        (PROVER, None, None, "not signed: the commitment names", False),
        (PROVER, PROVER, None, "whose key it is stays open", False),
        (PROVER, PROVER, PROVER, "the signer that was asked for", True),
    ],
)
def test_every_case_has_words_of_its_own(
    prover: str | None, signer: str | None, pinned: str | None, words: str, settled: bool
) -> None:
    who = Authorship(prover, signer, commitment_signed=False, pinned=pinned)
    assert words in describe_authorship(who)
    assert is_settled(who) == settled


def test_what_is_not_there_is_said() -> None:
    assert "as claimed" in describe_model(Model("0" * 64, None, None))
    assert "BLAKE3 " + "1" * 64 in describe_model(Model("0" * 64, "1" * 64, "2" * 64))
    assert "compared with no data set" in describe_data(Data("0" * 64, 10, salted=False, compared=None))
    named = describe_data(Data("0" * 64, 10, salted=True, compared="the built-in \x1b[31mtask"))
    assert "\x1b" not in named
