"""A true run from the end of a false one, which is shown or kept back."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from unsandboxed import verify

from pol_jax.attacks import laundered_chain
from pol_jax.attacks.attack import Forged, Setting
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.outcomes import Verdict
from pol_jax.storage.proof import open_proof


@pytest.fixture
def setting(plain_proof: Path) -> Setting:
    return Setting(open_proof(plain_proof), tiny.plain(), 1, 0.5)


def copied(setting: Setting, out: Path) -> Forged:
    """In the place of a false parent: the victim's own proof, of which some steps are said to be false."""
    out.symlink_to(setting.victim.root)
    return Forged(setting.victim.root, setting.task, None, (7, 9), 11)


def test_a_child_of_a_parent_is_true_and_tells_what_it_cost(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = laundered_chain._launder(setting, tmp_path / "shown", copied)
    assert (shown.parents, shown.parent_steps, shown.false_steps) == ((setting.victim.root,), (7, 9), ())
    assert shown.gradients == 11 + 2 * tiny.INTERVAL
    report = verify(shown.root, shown.source, policy=AllSegments(), nonce=tiny.NONCE, parents=shown.parents)
    assert report.verdict is Verdict.ACCEPTED, report.reasons
    monkeypatch.setattr(laundered_chain, "_launder", lambda *_: shown)
    kept_back = laundered_chain._launder_silently(setting, tmp_path / "kept back")
    assert (kept_back.root, kept_back.parents, kept_back.parent_steps) == (shown.root, (), ())
