"""These attacks say that the states on a straight line from a first state to the stolen model are training.

There are three kinds. With the true program, the paper says that it fails (Jia et al., IEEE S&P 2021, section VI). With
a program whose updates are nearly 0, every replay stays where it begins, and the line only needs pieces that are
shorter than the slack; C. Fang et al. ("Proof-of-Learning is Currently More Broken Than You Think", EuroS&P 2023) call
it infinitesimal updates. From an initial state whose values are a true draw, in the order of the stolen weights, the
line is short, and no test of a distribution sees it: a rank-matched start (the same paper).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import execute, invented, line, parameters_of
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.task import Key, PyTree, Task

SCALE: Final = 1e-6
"""The program with infinitesimal updates leaves this share of every update."""


def rank_matched(initial: HostLeaves, target: HostLeaves, places: tuple[int, ...]) -> HostLeaves:
    """Return an initial state with the values of a true draw, each where the target has the value of the same rank.

    A Kolmogorov-Smirnov test (section 13.4) sees only which values there are, and not where: it finds nothing.
    """
    found = list(initial)
    for at in places:
        drawn, wanted = np.sort(initial[at].reshape(-1)), np.argsort(target[at].reshape(-1), kind="stable")
        matched = np.empty_like(drawn)
        matched[wanted] = drawn
        found[at] = matched.reshape(initial[at].shape)
    return found


def with_scaled_updates(task: Task, scale: float) -> Task:
    """Return the task with a program whose updates are ``scale`` times as large: a rate that is that much smaller."""

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        new, metrics = task.step(state, batch, key)
        return jax.tree.map(lambda a, b: _part(a, b, scale), state, new), metrics

    return replace(task, step=step)


def _part(before: jax.Array, after: jax.Array, scale: float) -> jax.Array:
    # Counters and keys are not numbers of which a share could be taken: they go on as in the true program.
    if not jnp.issubdtype(after.dtype, jnp.floating):
        return after
    return (before + scale * (after - before)).astype(after.dtype)


def _along_a_line(setting: Setting, out: Path, task: Task, start: Callable[[HostLeaves], HostLeaves]) -> Forged:
    """Write a straight line to the target, from a start that is made of the initial state which the key gives."""
    places = parameters_of(setting.spec)
    steps = setting.steps_of_line(start(setting.beginning))
    proof = FalseProof.begin(out, of_length(task, steps), setting.interval, setting.named())
    begun = execute(proof.program, start(proof.initial), proof.inputs[: setting.true_steps])
    first, left = begun.states[-1], proof.inputs[setting.true_steps :]
    last = list(first)
    # Keys alone stay: they follow from the forger's own commitment.
    for at in (*places, *_others(setting)):
        last[at] = setting.target[at]
    states = line(setting.spec, first, last, len(left))
    transcript = begun.then(invented(states, left, len(proof.program.signature.metrics)))
    proof.write(transcript)
    return Forged(out, proof.task, transcript, transcript.altered, setting.true_steps)


def _others(setting: Setting) -> tuple[int, ...]:
    """Return the places of leaves that are neither parameters nor keys: optimizer state and counters."""
    parameters = parameters_of(setting.spec)
    return tuple(at for at, leaf in enumerate(setting.spec) if at not in parameters and leaf.prng is None)


def interpolate(setting: Setting, out: Path) -> Forged:
    """Write a line from the initial state of the forger's own commitment, with the program as it is."""
    return _along_a_line(setting, out, setting.task, lambda initial: initial)


def _infinitesimal(setting: Setting, out: Path) -> Forged:
    return _along_a_line(setting, out, with_scaled_updates(setting.task, SCALE), lambda initial: initial)


def _rank_matched(setting: Setting, out: Path) -> Forged:
    places = parameters_of(setting.spec)
    task = with_scaled_updates(setting.task, SCALE)
    return _along_a_line(setting, out, task, lambda initial: rank_matched(initial, setting.target, places))


ATTACKS: Final = (
    Attack(
        "interpolation",
        "Jia et al., S&P 2021",
        "the final model, and the program as it is",
        "states on a line from the initial state to the stolen model",
        interpolate,
    ),
    Attack(
        "infinitesimal-updates",
        "Fang et al., EuroS&P 2023",
        "the final model; the rate is the forger's to name",
        "the same line, with a program whose updates are a millionth",
        _infinitesimal,
    ),
    Attack(
        "rank-matched-start",
        "Fang et al., EuroS&P 2023",
        "the final model; the rate is the forger's to name",
        "a short line, from a true draw in the order of the stolen weights",
        _rank_matched,
    ),
)
