"""The threat model names only tests that there are."""

from __future__ import annotations

import re

from places import ROOT


def test_every_attack_that_is_named_is_a_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text()))
    existing = {
        name
        for path in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 20
    assert named <= existing, sorted(named - existing)
