"""A coordinator who has no copy of the records: cheap checks, a challenge, an opening, a verification."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jax
import numpy as np

from pol_jax import UpdateResult, Verdict, verify_update, write_opening
from pol_jax.errors import PolError
from pol_jax.protocol.challenge import challenged_steps
from pol_jax.workers.share import steps_within
from pol_jax.workers.verify_update import check_claim
from untrusted.worker import Answer, Site


@dataclass(frozen=True)
class Received:
    """What a coordinator received from a worker, and makes of it.

    Attributes:
        result: of the verification.
        size: bytes that were received.
        worker_seconds: processor time of this process that was the worker's own, for its opening.
    """

    result: UpdateResult
    size: int
    worker_seconds: float = 0


def challenge(site: Site, answer: Answer, share: float, nonce: bytes = b"drawn after claim") -> Received:
    """Check what is cheap, and challenge the worker if that passes.

    Args:
        site: of the worker, with what it was asked for.
        answer: its answer.
        share: of its steps that are replayed at most.
        nonce: which a true coordinator draws anew after each claim.
    """
    asked = site.assignment
    size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(answer.update))
    size += sum((answer.proof / f"{name}.json").stat().st_size for name in ("claim", "commitment"))
    trusted, policy = site.programs.trusted(site.task), steps_within(share, asked.steps)
    try:
        claim, _ = check_claim(answer.proof, answer.update, site.expected)
    except PolError as error:
        return Received(UpdateResult(Verdict.REJECTED, str(error), asked.steps), size)
    begun, steps = time.process_time(), challenged_steps(policy, claim.steps, claim.digest(), nonce)
    opening = answer.proof.with_suffix(".opening")
    write_opening(opening, answer.open(site.task.source, steps))
    spent = time.process_time() - begun
    result = verify_update(
        site.previous,
        answer.update,
        (answer.proof, opening),
        asked,
        trusted=trusted,
        policy=policy,
        nonce=nonce,
    )
    return Received(result, size + opening.stat().st_size, spent)
