"""Where sampling decides: how often the draw misses what is false, beside the probability that is announced."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from scipy.stats import binomtest

from pol_jax import RandomSegments
from pol_jax.attacks.attack import Forged
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.sampling import segments_needed
from pol_jax.storage.proof import open_proof


@dataclass(frozen=True)
class Missed:
    """How often draws of one policy missed all false segments.

    Attributes:
        segments: of the proof.
        false: how many of them are false.
        drawn: how many a challenge draws.
        draws: how many challenges were drawn, each with a nonce of its own.
        missed: how many of them met no false segment.
        announced: the probability of that, from the numbers of segments alone.
        low: lower end of the 95% confidence interval (Clopper and Pearson) of the measured rate.
        high: its upper end.
    """

    segments: int
    false: int
    drawn: int
    draws: int
    missed: int
    announced: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Return whether the announced probability lies in the interval."""
        return self.low <= self.announced <= self.high


def miss_rate(forged: Forged, policy: RandomSegments, draws: int) -> Missed:
    """Draw challenges against the claim of a forged proof; nothing is replayed.

    A challenge that meets a false segment refuses the proof, as the other columns of the table show.
    """
    proof = open_proof(forged.root)
    assert proof.claim is not None  # noqa: S101  # the forger has finished it
    number, claim = len(proof.segments), proof.claim.digest()
    false = {proof.segments.of_step(step) for step in forged.false_steps if step > 0}
    drawn = segments_needed(number, policy.confidence, policy.fraction)
    missed = sum(false.isdisjoint(draw(policy, number, claim, nonce.to_bytes(16, "little"))) for nonce in range(draws))
    interval = binomtest(missed, draws).proportion_ci()
    announced = comb(number - len(false), drawn) / comb(number, drawn)
    return Missed(number, len(false), drawn, draws, missed, announced, float(interval.low), float(interval.high))
