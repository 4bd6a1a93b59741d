"""The trusted source's program is exported while the child starts, which takes as long.

What to export is read from the proof's own documents, before anything of it was checked. So nothing is believed of
them: the result is used only if the child, which has checked them, asks for the same commitment and number of steps.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pol_jax.errors import ProofError
from pol_jax.protocol import claim as claims
from pol_jax.protocol import commitment as commitments
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.limits import Limits
from pol_jax.storage.inventory import read_bounded
from pol_jax.verifying.agreement import check_agreement
from pol_jax.verifying.trusted_program import Expected, Trusted


def begin_export(trusted: Trusted, root: Path, limits: Limits) -> Trusted:
    """Begin to export what ``trusted`` tells for the proof in ``root``; return what waits for that.

    For any other commitment or number of steps, and where the documents can't be read, ``trusted`` itself is asked.
    """
    asked = _documents(root, limits)
    if asked is None:
        return trusted
    pool = ThreadPoolExecutor(1, "pol-export")
    begun: Future[Expected | None] = pool.submit(trusted, *asked)
    # The thread ends with its one task.
    pool.shutdown(wait=False)

    def expect(commitment: Commitment, steps: int) -> Expected | None:
        return begun.result() if (commitment, steps) == asked else trusted(commitment, steps)

    return expect


def _documents(root: Path, limits: Limits) -> tuple[Commitment, int] | None:
    """Return the commitment of a proof and the steps that it claims, if these could pass stage 3."""
    try:
        claim = Claim.parse(read_bounded(root, claims.FILE, limits))
        commitment = Commitment.parse(read_bounded(root, commitments.FILE, limits))
        check_agreement(commitments.FILE, commitment, claim)
    except ProofError:
        return None
    agree = commitment.digest().hex() == claim.commitment and claim.steps <= limits.steps
    return (commitment, claim.steps) if agree else None
