"""Where sampling decides: how often the draw misses what is false, beside the probability that is announced."""

from __future__ import annotations

from collections.abc import Collection
from math import comb

from pol_jax import RandomSegments
from pol_jax.attacks.attack import Forged
from pol_jax.protocol.challenge import draw
from pol_jax.protocol.sampling import segments_needed
from pol_jax.storage.proof import open_proof
from red_team.tally import Missed


def count_missed(
    forged: Forged, policy: RandomSegments, draws: int, caught: Collection[int], into: Missed | None = None
) -> Missed:
    """Draw challenges against the claim of a forged proof, and count those that meet nothing that a replay refuses.

    Where the proof is true, and an earlier one is false that it starts from, they are drawn against that one: a
    verifier asks of it what is asked of the proof itself, with the same nonce.

    Args:
        forged: the proof.
        policy: of the draws.
        draws: how many challenges; each has a nonce of its own.
        caught: the segments whose replay was refused.
        into: earlier counts, to which these are added.
    """
    proof, found = open_proof(forged.parents[0] if forged.parent_steps else forged.root), into or Missed()
    assert proof.claim is not None  # noqa: S101  # the forger has finished it
    number, claim = len(proof.segments), proof.claim.digest()
    told = forged.parent_steps or forged.false_steps
    false_segments = {proof.segments.of_step(step) for step in told if step > 0}
    drawn = segments_needed(number, policy.confidence, policy.fraction)
    nonces = (nonce.to_bytes(16, "little") for nonce in range(draws))
    missed = sum(set(caught).isdisjoint(draw(policy, number, claim, nonce)) for nonce in nonces)
    announced = comb(number - len(false_segments), drawn) / comb(number, drawn)
    return Missed(found.draws + draws, found.missed + missed, found.announced + announced * draws)
