"""Verification without a sandbox, in the process of the tests; with the keyword arguments of `pol_jax.verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pol_jax.progress import Progress
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.policies import StepPolicy
from pol_jax.reports.report import Report
from pol_jax.training.task import Source
from pol_jax.verifying.built_in_records import built_in_source
from pol_jax.verifying.opening_verifier import OpeningVerifier
from pol_jax.verifying.proof_verifier import ProofVerifier
from pol_jax.verifying.request import OpeningRequest, ProofRequest
from pol_jax.verifying.trusted_program import Trusted


def verify(
    path: Path | str,
    source: Source | Callable[[Commitment], Source] | None = None,
    *,
    trusted: Trusted | None = None,
    progress: Progress | None = None,
    parents: Iterable[Path | str] = (),
    **asked: Any,
) -> Report:
    """Verify a proof; what is not asked for is as a request has it."""
    request = ProofRequest(path=str(path), parents=tuple(map(str, parents)), **asked)
    source = built_in_source() if source is None else source
    return ProofVerifier(request, source, trusted=trusted, progress=progress).run()


def verify_opening(
    claim: Path,
    opening: Path,
    policy: StepPolicy,
    nonce: bytes = b"",
    *,
    trusted: Trusted | None = None,
    **asked: Any,
) -> Report:
    """Verify an opening; what is not asked for is as a request has it."""
    request = OpeningRequest(claim=str(claim), opening=str(opening), policy=policy, nonce=nonce, **asked)
    return OpeningVerifier(request, trusted=trusted).run()
