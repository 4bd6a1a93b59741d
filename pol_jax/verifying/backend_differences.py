"""Whether this backend can judge a run by bits: it is the prover's, or the program computes alike on every one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from pol_jax.exact import self_test
from pol_jax.protocol.claim import Claim
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.environment import Environment

Differences = Callable[[], Sequence[str]]
"""Returns why other bits on this backend would say nothing about the proof, one line each; empty if they do."""


def backend_differences(commitment: Commitment, claim: Claim, own: Environment) -> Differences:
    """Return what tells whether this backend can judge by bits (section 13.1); it is asked only where bits differ.

    A program in exact arithmetic has the same bits on every backend that keeps its rules, which a self-test shows. Any
    other program may have other bits where the environment is not the one that the claim names.
    """

    @cache
    def differences() -> Sequence[str]:
        if commitment.arithmetic is None:
            return differences_from(commitment, claim, own)
        found = self_test()
        return [] if found else [str(found)]

    return differences


def differences_from(commitment: Commitment, claim: Claim, own: Environment) -> list[str]:
    """Return in what this backend differs from those of a run, one line each: another environment, too few devices."""
    found, mesh = claim.environment_differences(own), commitment.mesh
    if mesh is not None and own.device_count < mesh.device_count:
        found.append(f"mesh: {mesh.device_count} devices ({mesh}) against {own.device_count} here")
    elif mesh is not None and not mesh.divides(commitment.schedule.batch_size):
        found.append(f"mesh: jax can't cut batches of {commitment.schedule.batch_size} records so ({mesh})")
    return found
