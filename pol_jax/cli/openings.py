"""``pol challenge``, ``pol open``, and ``pol verify --opening``: a challenge of steps, and its answer."""

from __future__ import annotations

import secrets
from pathlib import Path

from pol_jax.cli.terminal import Bars, make_console, quiet_libraries
from pol_jax.cli.train import read_secret
from pol_jax.cli.verify import parse_list, parse_nonce, publish
from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import ListedSteps, RandomSteps, StepPolicy, draw_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.limits import Limits
from pol_jax.proving.opener import open_steps
from pol_jax.sandbox.bounds import Bounds
from pol_jax.sandbox.verify import verify_opening
from pol_jax.storage.inventory import read_bounded
from pol_jax.storage.openings import write_opening
from pol_jax.storage.proof import find_claim, open_proof
from pol_jax.training.task import load_task
from pol_jax.verifying.proof_verifier import built_in_source


def challenge_command(claim: Path, confidence: float | None, fraction: float | None, nonce: str | None) -> None:
    """Draw steps and say how to ask for them."""
    given = parse_nonce(nonce) or secrets.token_bytes(16)
    read = _claim(claim)
    steps = draw_steps(_policy(None, confidence, fraction), read.steps, read.digest(), given)
    console = make_console()
    console.print(f"{len(steps)} of {read.steps} steps: {','.join(map(str, steps))}", soft_wrap=True)
    chosen = "".join(
        f" --{name} {value:g}" for name, value in (("confidence", confidence), ("fraction", fraction)) if value
    )
    console.print(f"for the prover:  pol open PROOF --nonce {given.hex()}{chosen} --out FILE", soft_wrap=True)
    console.print(f"then:            pol verify CLAIM --opening FILE --nonce {given.hex()}{chosen}", soft_wrap=True)


def open_command(
    proof: Path,
    out: Path,
    steps: str | None,
    nonce: str | None,
    confidence: float | None,
    fraction: float | None,
    task: str | None,
    data_dir: Path | None,
    private: Path | None,
) -> None:
    """Regenerate the challenged states, check them, write the opening."""
    quiet_libraries()
    opened, bars = open_proof(proof), Bars()
    if opened.claim is None:
        raise UsageError(f"{proof}: the run is not finished; pol train goes on with it")
    policy, drawn_by = _challenge(steps, nonce, confidence, fraction)
    drawn = draw_steps(policy, opened.claim.steps, opened.claim.digest(), drawn_by)
    source = load_task(task, data_dir=data_dir).source if task else built_in_source(data_dir)(opened.commitment)
    try:
        opening = open_steps(opened, source, drawn, secret=read_secret(private) if private else None, progress=bars)
    finally:
        bars.end()
    write_opening(out, opening)
    console = make_console()
    console.print(f"opened {len(drawn)} steps in {out}, {out.stat().st_size} bytes", markup=False, soft_wrap=True)


def verify_opening_command(
    claim: Path,
    opening: Path,
    steps: str | None,
    nonce: str | None,
    confidence: float | None,
    fraction: float | None,
    json_file: Path | None,
    html_file: Path | None,
    timeout: float,
    total_timeout: float | None,
    unconfined: bool,
    jobs: int | None,
    d_ref: float | None,
    max_constants: int | None,
    **others: object,
) -> int:
    """Verify an opening, print the report, return the exit code."""
    for name, value in others.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')}: has no meaning for an opening, which brings all it needs")
    quiet_libraries()
    policy, drawn_by = _challenge(steps, nonce, confidence, fraction)
    bars = Bars()
    try:
        limits = Limits() if max_constants is None else Limits(constant_bytes=max_constants)
        bounds = Bounds(silence_seconds=timeout, total_seconds=total_timeout, confined=not unconfined)
        report = verify_opening(
            claim,
            opening,
            policy,
            drawn_by,
            limits=limits,
            progress=bars,
            bounds=bounds,
            jobs=jobs or 1,
            d_ref=d_ref,
        )
    finally:
        bars.end()
    return publish(report, json_file, html_file)


def _challenge(
    steps: str | None, nonce: str | None, confidence: float | None, fraction: float | None
) -> tuple[StepPolicy, bytes]:
    """The challenge that both sides know; it never comes from the proof or the opening."""
    given = parse_nonce(nonce)
    if (steps is None) == (given is None):
        raise UsageError("which steps? give --steps LIST, or the --nonce of pol challenge; one of them")
    return _policy(steps, confidence, fraction), given or b""


def _policy(steps: str | None, confidence: float | None, fraction: float | None) -> StepPolicy:
    chance = {name: x for name, x in (("confidence", confidence), ("fraction", fraction)) if x is not None}
    if steps is None:
        return RandomSteps(**chance)
    if chance:
        raise UsageError(f"--{next(iter(chance))}: is about random steps; leave out --steps")
    return ListedSteps(parse_list(steps))


def _claim(path: Path) -> Claim:
    where = find_claim(path)
    return Claim.parse(read_bounded(where.parent, where.name, Limits()))
