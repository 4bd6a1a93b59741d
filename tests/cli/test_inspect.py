"""`pol inspect`."""

from __future__ import annotations

from pathlib import Path

from commands import pol
from forge import claim_of

from pol_jax.storage.proof import open_proof


def test_inspect_shows_what_is_claimed(runs: Path) -> None:
    shown = pol("inspect", runs / "a")
    assert shown.exit_code == 0
    proof = open_proof(runs / "a")
    final_state = claim_of(runs / "a").final_state
    for text in ("tiny plain", "learning_rate", final_state, proof.commitment.digest().hex(), "loss"):
        assert text in shown.output
    assert "\x1b" not in shown.output
