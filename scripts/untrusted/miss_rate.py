"""How often a coordinator's random challenge misses a worker who falsifies few steps, beside the announced probability.

The worker trains as assigned, and puts false states into its ledger between checkpoints. A step is false if the state
before or after it is. Every challenge has a nonce of its own; the worker opens what is asked without a look at what is
false in it, and the opening is verified as any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np

from pol_jax import Source, Verdict, open_proof
from pol_jax.protocol.challenge import challenged_steps, draw_steps
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.opening import Opening
from pol_jax.protocol.sampling import detection_probability
from pol_jax.reports.report import Report
from pol_jax.training.states import Layout
from pol_jax.verifying.opening_verifier import OpeningVerifier
from pol_jax.verifying.request import OpeningRequest
from pol_jax.workers import verify_update
from pol_jax.workers.share import steps_within
from untrusted.behaviours import honest
from untrusted.coordinator import challenge
from untrusted.forging import open_forged, rewrite, trajectory
from untrusted.worker import Answer, Site


@dataclass(frozen=True)
class Missed:
    """How many of some challenges met no false step."""

    drawn: int
    missed: int

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95% confidence interval of the rate (Clopper and Pearson)."""
        from scipy.stats import binomtest  # takes a second to import

        found = binomtest(self.missed, self.drawn).proportion_ci()
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.missed} of {self.drawn}: {low:.3f} to {high:.3f}"


class Briefly(Answer):
    """An answer that is opened without decisions: here are no other backends, and they cost more than all the rest."""

    def open(self, source: Source, steps: Iterable[int]) -> Opening:
        """Answer a challenge."""
        assert self.states is not None  # noqa: S101  # it is forged
        return open_forged(self.proof, source, steps, self.states, decisions=False)


def falsify(site: Site, states: Collection[int]) -> Answer:
    """Return the answer of a worker whose states after these steps are false, and whose checkpoints are true."""
    answer, asked = honest(site), site.assignment
    proof, layout = open_proof(answer.proof), Layout(site.expected.commitment.state)
    start, rows = proof.host_leaves(0), list(proof.rows())
    every = {0: layout.gather(start)}
    for step, state, _ in trajectory(proof.commitment, proof.program(), site.task.source, asked.steps, start):
        is_false = step in states
        every[step] = layout.gather(
            [np.negative(leaf) if is_false and leaf.dtype.kind == "f" else leaf for leaf in state]
        )
        rows[step] = replace(rows[step], state=every[step].digest())
    rewrite(proof, rows)
    return Briefly(answer.update, answer.proof, every)


def false_steps(states: Collection[int]) -> set[int]:
    """Return the steps that begin with or lead to one of these states."""
    return {*states, *(step + 1 for step in states)}


def announced(site: Site, share: float, states: Collection[int]) -> float:
    """Return the probability that a challenge within a share of the steps misses all false ones."""
    steps = site.assignment.steps
    drawn = draw_steps(steps_within(share, steps), steps, bytes(32), bytes(16))
    return 1 - detection_probability(steps, len(false_steps(states)), len(drawn))


def verified(site: Site, answer: Answer, share: float, states: Collection[int], trials: int) -> Missed:
    """Return how many openings were accepted, of so many that were challenged and verified.

    Raises:
        AssertionError: an opening with a false step was not rejected, or one without was not accepted.
    """
    missed, claim = 0, claim_of(answer)
    with in_this_process():
        for number in range(trials):
            met = meets(claim, share, states, number)
            result = challenge(site, answer, share, nonce_of(number)).result
            expected = Verdict.REJECTED if met else Verdict.ACCEPTED
            assert result.verdict is expected, (number, result)  # noqa: S101
            missed += not met
    return Missed(trials, missed)


def drawn(answer: Answer, share: float, states: Collection[int], trials: int) -> Missed:
    """Return how many challenges asked for no false step, of so many that were drawn."""
    claim = claim_of(answer)
    return Missed(trials, sum(not meets(claim, share, states, number) for number in range(trials)))


def claim_of(answer: Answer) -> Claim:
    """Return the claim that a worker made."""
    claim = open_proof(answer.proof).claim
    assert claim is not None  # noqa: S101  # it is finished
    return claim


def meets(claim: Claim, share: float, states: Collection[int], number: int) -> bool:
    """Return whether the challenge with this number asks for a false step."""
    policy = steps_within(share, claim.steps)
    return not false_steps(states).isdisjoint(challenged_steps(policy, claim.steps, claim.digest(), nonce_of(number)))


def nonce_of(number: int) -> bytes:
    """Return the nonce of a challenge, by its number."""
    return number.to_bytes(16, "little")


def in_this_process() -> AbstractContextManager[Any]:
    """Verify openings in this process, in a tenth of the time: who lies here does not attack the parser."""

    def verify(request: OpeningRequest, *, trusted: Any, **_: Any) -> Report:
        return OpeningVerifier(request, trusted=trusted).run()

    return patch.object(verify_update, "verify_opening_apart", verify)
