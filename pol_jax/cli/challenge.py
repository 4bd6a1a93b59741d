"""This module implements ``pol challenge``, which needs no jax."""

from __future__ import annotations

import secrets
from pathlib import Path

from pol_jax.cli.arguments import parse_nonce, step_policy
from pol_jax.cli.terminal import make_console
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.storage.inventory import find_claim, read_bounded


def challenge_command(claim: Path, confidence: float | None, fraction: float | None, nonce: str | None) -> None:
    """Draw steps, and print the commands that open and verify them."""
    nonce_bytes = parse_nonce(nonce) or secrets.token_bytes(16)
    parsed = _claim(claim)
    steps = challenged_steps(
        step_policy(None, confidence, fraction), parsed.steps, parsed.digest(), nonce_bytes, parsed.format
    )
    console = make_console()
    console.print(f"{len(steps)} of {parsed.steps} steps: {','.join(map(str, steps))}", soft_wrap=True)
    chosen = "".join(
        f" --{name} {value:g}" for name, value in (("confidence", confidence), ("fraction", fraction)) if value
    )
    draw = f"--nonce {nonce_bytes.hex()}{chosen}"
    console.print(f"the prover runs:    pol open PROOF {draw} --out FILE", soft_wrap=True)
    console.print(f"the verifier runs:  pol verify CLAIM --opening FILE {draw}", soft_wrap=True)


def _claim(path: Path) -> Claim:
    where = find_claim(path)
    return Claim.parse(read_bounded(where.parent, where.name, Limits()))
