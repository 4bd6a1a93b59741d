"""The command that repeats a verification has all that decides it."""

from __future__ import annotations

import msgspec
from example_reports import unfinished

from pol_jax.protocol.policies import ListedSteps, RandomSegments, TopSegments
from pol_jax.reports.drift import Drift
from pol_jax.reports.identity import Authorship
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Ancestor, Origin
from pol_jax.reports.wording.repetition import repeating_command

KEY = "ed25519:" + "1" * 64


def test_every_choice_of_the_verifier_is_in_the_command() -> None:
    claim = "ab12" * 16
    earlier = Ancestor(claim, Verdict.ACCEPTED, (), None, RandomSegments(), None, None, Origin.TRUSTED)
    report = unfinished(
        policy=TopSegments(2, "l1"),
        nonce="00ff" * 8,
        exact=True,
        leaves=("/params", "/it's"),
        ancestors=(earlier,),
        program_origin=Origin.TRUSTED,
        drift=Drift(1.0, 1.0, 0.0, None, 0.0, 71.5, 3, 0),
        authorship=Authorship(KEY, KEY, commitment_signed=True, pinned=KEY),
    )
    assert " ".join(repeating_command(report)) == (
        f"pol verify PROOF --top-q 2 --metric l1 --nonce {'00ff' * 8} --task TASK --parent DIR_OF_ab12ab12 --d-ref 71.5"
        f" --exact --leaves /params --leaves '/it'\"'\"'s' --signer {KEY}"
    )


def test_a_list_of_steps_needs_no_nonce() -> None:
    report = msgspec.structs.replace(unfinished(), policy=ListedSteps((1, 2, 3)), nonce="")
    assert repeating_command(report) == ("pol verify CLAIM --opening FILE", "--steps 1-3")
