"""Attacks on a small run: what the paper's rule says, as published, and that ours does not accept what it promises.

Here are those that cost little; all of them, in every mode, are tried by ``scripts/scoreboard.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from attacked_run import D_REF
from unsandboxed import verify

from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import ATTACKS, attack_named
from pol_jax.attacks.paper_rule import judge_by_paper
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import AllSegments, ListedSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.trusted_program import trust

ACCEPTED_BY_THE_PAPER = {
    "rank-matched-start": 7,
    "blindfold-top-q": 9,
    "poisoned-step": 9,
    "synthesised-records-3": 5,
    "chosen-order": 5,
    "other-rate": 9,
    "glued-runs": 5,
    "stolen-proof-continued": 5,
    "target-in-records": 0,
    "laundered-chain": 7,
}
"""Attacks that succeed against the rule of 2021, and the stage that ours does not pass; 0 where all do, but the program
is not that of the trusted source."""


def test_every_attack_is_found_by_its_name() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert all(attack_named(name).name == name for name in names)
    with pytest.raises(UsageError, match="expected one of interpolation, "):
        attack_named("none")


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("optimizer-amplification", "moments"),
        ("target-in-optimizer", "momentum"),
        ("low-precision-leaves", "bfloat16"),
        ("integer-leaves", "counter"),
        ("stolen-proof-signed-again", "committed to a key"),
    ],
)
def test_an_attack_says_what_it_needs(name: str, lacks: str, setting: Setting, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=lacks):
        attack_named(name).forge(setting, tmp_path / "forged")


@pytest.mark.parametrize("name", ACCEPTED_BY_THE_PAPER)
def test_the_paper_accepts_it_and_ours_does_not(name: str, setting: Setting, tmp_path: Path) -> None:
    attack = attack_named(name)
    forged = attack.forge(setting, tmp_path / "forged")
    paper = judge_by_paper(open_proof(forged.root), forged.source, D_REF)
    assert paper.accepted, paper.refusal
    report = verify(
        forged.root,
        forged.source,
        policy=AllSegments(),
        nonce=b"x",
        parents=forged.parents,
        trusted=trust(setting.task),
    )
    assert attack.promised
    stage = next((each.number for each in report.stages if each.outcome != "passed"), 0)
    assert (stage, report.verdict is Verdict.ACCEPTED) == (ACCEPTED_BY_THE_PAPER[name], False), report.reasons


def test_last_bits_that_lead_where_the_forger_likes_are_seen_in_the_step_that_reads_them(
    setting: Setting, tmp_path: Path
) -> None:
    """No step is off by more than rounding; what gives them away is what a step makes of last places."""
    forged = attack_named("last-bits").forge(setting, tmp_path / "forged")
    assert forged.gain is not None
    assert forged.gain > 0.9
    found = forged.transcript
    assert found is not None
    assert len(found.altered) == found.steps
    report = verify(forged.root, forged.source, policy=ListedSegments((20,)), any_program=True)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert any("last places" in reason for reason in report.reasons), report.reasons
