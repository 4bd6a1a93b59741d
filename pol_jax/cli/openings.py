"""``pol open`` writes an answer to a challenge, and ``pol verify --opening`` verifies one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich import filesize

from pol_jax.cli.arguments import step_policy
from pol_jax.cli.cures import source_of
from pol_jax.cli.nonces import GivenNonce, given_nonce
from pol_jax.cli.output_file import check_writable
from pol_jax.cli.report_screen import check_outputs, publish_report
from pol_jax.cli.terminal import Bars, quiet_libraries, say
from pol_jax.cli.train_options import read_secret
from pol_jax.cli.verifier_options import VerifierOptions
from pol_jax.errors import UsageError
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.protocol.limits import Limits
from pol_jax.protocol.policies import StepPolicy
from pol_jax.proving.opener import open_steps
from pol_jax.sandbox.apart import verify_opening_apart
from pol_jax.sandbox.proofs import open_apart
from pol_jax.sandbox.virtual_devices import provide_devices
from pol_jax.storage.inventory import find_claim
from pol_jax.storage.openings import write_opening
from pol_jax.verifying.request import OpeningRequest, absolute_path


@dataclass(frozen=True, kw_only=True)
class OpenOptions:
    """Open options are those of ``pol open``, by their names."""

    out: Path
    steps: str | None
    nonce: str | None
    nonce_round: Path | None
    confidence: float | None
    fraction: float | None
    task: str | None
    data_dir: Path | None
    private: Path | None


def open_command(proof: Path, options: OpenOptions) -> None:
    """Compute the challenged states again, check them against the ledger, and write the opening."""
    out = options.out
    quiet_libraries()
    check_writable(out)
    provide_devices(proof, Limits(), network=True)  # the prover's own run, on this machine
    challenge = given_nonce(options.nonce, options.nonce_round, proof)
    policy, nonce_bytes = _challenge(options.steps, challenge, options.confidence, options.fraction)
    bars = Bars()
    with open_apart(proof) as given:
        opened = given.finished()
        drawn = challenged_steps(policy, opened.claim.steps, opened.claim.digest(), nonce_bytes, opened.claim.format)
        source = source_of(options.task, options.data_dir)(opened.commitment)
        secret = read_secret(options.private) if options.private else None
        try:
            opening = open_steps(opened, source, drawn, secret=secret, progress=bars)
        finally:
            bars.end()
    write_opening(out, opening)
    size = filesize.decimal(out.stat().st_size)
    steps_opened = "1 step" if len(drawn) == 1 else f"{len(drawn)} steps"
    entries = sum(site.count for step in opening.decisions for site in step.sites)
    with_them = f", with {entries} values near ties of {len(opening.decisions)} steps" if entries else ""
    say(f"opened {steps_opened} in {out} ({size}){with_them}")


def verify_opening_command(
    claim: Path, opening: Path, steps: str | None, options: VerifierOptions, others: Mapping[str, object]
) -> int:
    """Verify an opening, print the report, and return the exit code; ``others`` are options about proofs alone.

    Raises:
        UsageError: one of the others was given.
    """
    for name, value in others.items():  # pol verify has one set of options for proofs and for openings
        if value:
            option = name.replace("_", "-")
            raise UsageError(f"--{option}: has no meaning for an opening, which holds everything that is needed")
    trusted = options.trusted()
    quiet_libraries()
    check_outputs(options.json_file, options.html_file, options.model)
    given = given_nonce(options.nonce, options.nonce_round, claim, options.tsa_roots)
    policy, nonce_bytes = _challenge(steps, given, options.confidence, options.fraction)
    request = OpeningRequest(
        claim=absolute_path(find_claim(claim)),
        opening=absolute_path(opening),
        policy=policy,
        nonce=nonce_bytes,
        **options.request_fields(),
    )
    bars = Bars()
    try:
        report = verify_opening_apart(request, trusted=trusted, progress=bars, bounds=options.bounds())
    finally:
        bars.end()
    return publish_report(given.named_in(report), options.json_file, options.html_file, options.model)


def _challenge(
    steps: str | None, given: GivenNonce, confidence: float | None, fraction: float | None
) -> tuple[StepPolicy, bytes]:
    """Return the challenge that both sides know; it never comes from the proof or the opening."""
    if (steps is None) == (given.content is None):
        raise UsageError("which steps? give either --steps LIST, or the --nonce or --nonce-round of pol challenge")
    return step_policy(steps, confidence, fraction), given.content or b""
