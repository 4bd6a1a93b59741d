"""One loop executes steps, for provers and verifiers.

A prover runs it with an observer that records, a verifier with one that compares. Having one loop for both means that
they can't differ in how they run a step. Steps are dispatched without waiting for them; a follower makes their rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from pol_jax.program.artifact import Leaves, Program
from pol_jax.training.follower import Follower
from pol_jax.training.inputs import StepInput


def run(program: Program, state: Leaves, inputs: Iterable[StepInput], follower: Follower) -> Leaves:
    """Execute a step for each of ``inputs``, beginning with ``state``, whose memory is reused.

    Returns:
        The last state, after every step has been observed.
    """
    for each in inputs:
        with follower.within(each.step):
            state, metrics = program.step(each.begin(state), program.feed(each.batch), each.key)
            follower.follow(each, state, metrics)
    follower.wait()
    return state
