"""Hypothesis searches for the strongest false step that passes, and for whole proofs with one; what it found stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import attacked
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from red_team.honest_run import HonestRun
from red_team.search import Push, judge_push, search
from red_team.shared import shared
from unsandboxed import verify

from pol_jax.attacks.attack import of_length
from pol_jax.attacks.false_proof import FalseProof, claim_elsewhere
from pol_jax.attacks.transcript import Transcript, execute
from pol_jax.judging.leaf_distances import LIMIT_SHARE
from pol_jax.protocol.policies import AllSegments
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Verdict

STEPS, INTERVAL = 6, 2
EXAMPLES = 80
"""Pushes that are tried; `python scripts/scoreboard.py search` has any number."""


@pytest.fixture(scope="module")
def honest_run() -> Iterator[HonestRun]:
    with shared():
        yield HonestRun.train(attacked.sgd(steps=60), 60)


def test_no_push_that_passes_goes_farther_than_the_limit(honest_run: HonestRun) -> None:
    found = search(honest_run, EXAMPLES)
    assert found.tried > EXAMPLES / 2
    assert 0 < found.passed < found.tried, "the search comes to both sides of the limit"
    assert found.gain <= LIMIT_SHARE, found


FARTHEST = (
    Push(0, 0, "leaf", 0, -7.0),
    Push(0, 1, "element", 5, -6.5),
    Push(59, 0, "small elements", 1, -6.0),
    Push(26, 1, "last places", 3, -6.0),
)
"""Pushes about where passing ends, of each kind: what passes among them is far below the limit, and stays so."""


@pytest.mark.parametrize("push", FARTHEST, ids=lambda push: push.part)
def test_what_was_found_stays_below_the_limit(honest_run: HonestRun, push: Push) -> None:
    gain, passed = judge_push(honest_run.at(push.step), push)
    assert gain <= LIMIT_SHARE / 10 or not passed


class Forge:
    """Writes one honest run, and then proofs that differ from it in one state."""

    def __init__(self, folder: Path) -> None:
        self.task, self._folder = of_length(attacked.sgd(), STEPS), folder
        self.proof = FalseProof.begin(folder / "proof", self.task, INTERVAL, "searched")
        self.run = execute(self.proof.program, self.proof.initial, self.proof.inputs)

    def write(self, step: int, leaf: int, element: int, share: float) -> Path:
        """Write a proof in which one element after a step is off by a share of its leaf's largest value."""

        def change(at: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
            if at == step:
                flat = after[leaf].reshape(-1).copy()
                flat[element % flat.size] += share * abs(flat).max()
                return [*after[:leaf], flat.reshape(after[leaf].shape), *after[leaf + 1 :]]
            return after

        told: Transcript = execute(self.proof.program, self.proof.initial, self.proof.inputs, change)
        root = self._folder / "forged"
        shutil.rmtree(root, ignore_errors=True)
        FalseProof.begin(root, self.task, INTERVAL, "searched").write(told)
        return root


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with shared():
        yield Forge(tmp_path_factory.mktemp("searched"))


@settings(max_examples=5, deadline=None)
@given(st.integers(1, STEPS), st.integers(0, 1), st.integers(0, 2**12), st.floats(1e-5, 1.0))
def test_one_element_of_one_state_is_enough_wherever_it_is(
    forge: Forge, step: int, leaf: int, element: int, share: float
) -> None:
    root = forge.write(step, leaf, element, share)
    report = verify(root, forge.task.source, policy=AllSegments(), nonce=b"x")
    assert report.verdict is Verdict.REJECTED, report.reasons
    caught = {each.segment for each in report.replays if each.mismatch}
    assert caught == {(step - 1) // INTERVAL}
    claim_elsewhere(root)
    elsewhere = verify(root, forge.task.source, policy=AllSegments(), nonce=b"x")
    assert elsewhere.verdict is not Verdict.ACCEPTED, (step, leaf, element, share)
