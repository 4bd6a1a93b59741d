"""``pol challenge`` draws steps for a prover to open, and prints the commands of both sides; it needs no jax."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path

from pol_jax.cli.arguments import step_policy
from pol_jax.cli.nonces import given_nonce
from pol_jax.cli.terminal import make_console, print_command, print_line
from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.storage.inventory import find_claim, read_bounded


def challenge_command(
    claim: Path,
    confidence: float | None,
    fraction: float | None,
    nonce: str | None,
    nonce_round: Path | None,
    tsa_roots: Path | None,
) -> None:
    """Draw steps, and print the commands that open and verify them."""
    if tsa_roots is not None and nonce_round is None:
        raise UsageError("--tsa-roots: says that the round must follow the claim's timestamp; give --nonce-round too")
    given = given_nonce(nonce, nonce_round, claim, tsa_roots)
    # Drawn when the claim is at hand: who knew the nonce before could make a claim that fits (section 12.1).
    nonce_bytes = given.content or secrets.token_bytes(16)
    parsed = _claim(claim)
    steps = challenged_steps(
        step_policy(None, confidence, fraction), parsed.steps, parsed.digest(), nonce_bytes, parsed.format
    )
    console = make_console()
    print_line(console, f"{len(steps)} of {parsed.steps} steps: {','.join(map(str, steps))}")
    if given.draw:
        print_line(console, given.draw.describe())
    draw = _option(nonce_bytes, nonce_round)
    for name, value in (("--confidence", confidence), ("--fraction", fraction)):
        draw += [name, repr(value)] if value else []  # with every digit: the draw depends on them
    print_command(console, "the prover runs:   ", ["pol open PROOF", *draw, "--out FILE"])
    print_command(console, "the verifier runs: ", ["pol verify CLAIM", "--opening FILE", *draw])


def _option(nonce: bytes, nonce_round: Path | None) -> list[str]:
    return ["--nonce", nonce.hex()] if nonce_round is None else ["--nonce-round", shlex.quote(nonce_round.name)]


def _claim(path: Path) -> Claim:
    where = find_claim(path)
    return Claim.parse(read_bounded(where.parent, where.name, Limits()))
