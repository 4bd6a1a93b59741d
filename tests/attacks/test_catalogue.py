"""Attacks on a small run: what the paper's rule says, as published, and that ours does not accept what it promises.

Here are those that cost little; all of them, in every mode, are tried by ``scripts/scoreboard.py``.
"""

from __future__ import annotations

from pathlib import Path

import attacked
import jax.numpy as jnp
import numpy as np
import pytest
from unsandboxed import verify

from pol_jax import Choices, train
from pol_jax.attacks.attack import Setting
from pol_jax.attacks.catalogue import ATTACKS, attack_named
from pol_jax.attacks.paper_rule import PUBLISHED, judge_by_paper
from pol_jax.errors import UsageError
from pol_jax.protocol.policies import AllSegments, ListedSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.proof import open_proof
from pol_jax.verifying.trusted_program import trust

D_REF, STEPS = 12.0, 50
"""The distance between two trainings of `attacked.sgd`, and the steps of this one: a little more than an epoch."""

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


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    task = attacked.sgd(steps=STEPS)
    proof = train(task, tmp_path_factory.mktemp("victim") / "proof", choices=Choices(witness_interval=1))
    return Setting(proof, task, 1, PUBLISHED.slack * D_REF)


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


def test_forged_batches_are_false_where_the_states_are_the_victim_s(setting: Setting, tmp_path: Path) -> None:
    """Every other step is what the program gives for the batch that the forger shows."""
    forged = attack_named("forged-batches").forge(setting, tmp_path / "forged")
    found, program = forged.transcript, setting.victim.program()
    assert found is not None
    false_steps = []
    for at, inputs in enumerate(found.inputs):
        new, _ = program.step(tuple(jnp.array(leaf) for leaf in found.states[at]), inputs.batch, inputs.key)
        if any(np.asarray(a).tobytes() != b.tobytes() for a, b in zip(new, found.states[at + 1], strict=True)):
            false_steps.append(at + 1)
    assert tuple(false_steps) == forged.false_steps


def test_weights_that_were_trained_are_no_draw(setting: Setting, tmp_path: Path) -> None:
    """The paper's own defence against this one; it holds once a leaf has moved enough."""
    forged = attack_named("stolen-weights").forge(setting, tmp_path / "forged")
    assert forged.false_steps == (0,)
    report = verify(forged.root, forged.source, policy=AllSegments(), nonce=b"x")
    assert report.verdict is Verdict.REJECTED
    assert any("stage 7" in reason for reason in report.reasons)


def test_a_step_back_leads_forward_again(setting: Setting, tmp_path: Path) -> None:
    forged = attack_named("inverse-gradient").forge(setting, tmp_path / "forged")
    assert forged.transcript is not None
    program, after = setting.victim.program(), forged.transcript.states
    last = forged.transcript.inputs[-1]
    new, _ = program.step(tuple(jnp.array(leaf) for leaf in after[-2]), last.batch, last.key)
    for made, told, before in zip(map(np.asarray, new), after[-1], after[-2], strict=True):
        assert np.linalg.norm(made - told) < 1e-3 * np.linalg.norm(told - before)


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
