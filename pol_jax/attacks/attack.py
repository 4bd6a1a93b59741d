"""An attack is a value: where it was published, what it assumes, what it makes, and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from pol_jax.attacks.transcript import Transcript, parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.storage.proof import Proof
from pol_jax.training.task import Source, Task


@dataclass(frozen=True)
class Setting:
    """A setting is what a forger has: an honest proof that was published, its task, and some luck of their own.

    Attributes:
        victim: the honest proof, finished; its final model is what a forger claims to have trained.
        task: the task of the victim: program, records, schedule.
        seed: decides what the forger chooses by chance, and the nonce of what they commit to.
        slack: the largest distance that the rule of the 2021 paper lets pass; an absolute distance of parameters.
        often: whether every segment but the first gets a false step, where one false step of the whole run is the
            attack; a replay judges each segment by itself, so that one proof is as many trials. The first one stays
            true then, in other attacks too: a backend that gets its bits rejects false ones by bits alone, while one
            that reproduces no segment compares numbers (section 13.1), which takes far longer.
    """

    victim: Proof
    task: Task
    seed: int
    slack: float
    often: bool = False

    @cached_property
    def steps(self) -> int:
        """Return the number of steps of the victim."""
        return self.victim.segments.steps

    @property
    def interval(self) -> int:
        """Return the number of steps between two checkpoints of the victim."""
        return self.victim.segments.interval

    @property
    def spec(self) -> StateSpec:
        """Return the leaves of a state."""
        return self.victim.commitment.state

    @cached_property
    def target(self) -> list[np.ndarray]:
        """Return the victim's final state."""
        return self.victim.host_leaves(self.steps)

    @cached_property
    def beginning(self) -> list[np.ndarray]:
        """Return the victim's initial state."""
        return self.victim.host_leaves(0)

    @property
    def chance(self) -> np.random.Generator:
        """Return a generator of the forger's own."""
        # Each access begins anew, so that what one part of an attack draws does not depend on what another part drew.
        return np.random.default_rng(self.seed)

    def named(self, suffix: str = "") -> str:
        """Return the nonce that a forger commits to."""
        return f"forger {self.seed}{suffix}"

    @property
    def true_steps(self) -> int:
        """Return how many first steps stay true."""
        return self.interval if self.often else 0

    def places_for_one(self, alone: int) -> tuple[int, ...]:
        """Return the steps that are falsified where one is enough: ``alone``, or if `often` one of each segment.

        In each segment it is as far from the start as ``alone`` is in its own; the first one stays true.
        """
        if not self.often:
            return (alone,)
        return tuple(range((alone - 1) % self.interval + 1 + self.true_steps, self.steps + 1, self.interval))

    def steps_of_line(self, first: HostLeaves) -> int:
        """Return how many steps a straight line from ``first`` needs, so that no segment is longer than half the slack.

        It is a multiple of the interval, and no less than the victim's number of steps.
        """
        places = parameters_of(self.spec)
        length = state_distance(self.spec, first, self.target, places)
        # The rule measures from a replayed state, which has moved too: half of the slack is left for that.
        segments = int(np.ceil(2 * length / self.slack)) if self.slack else 0
        return max(self.steps, self.interval * segments)


@dataclass(frozen=True)
class Forged:
    """A forged proof is a directory, what its forger says about it, and what it cost to make.

    Attributes:
        root: its directory.
        task: what the forger says was trained; its source has the records that they show.
        transcript: the run that the proof tells of; None if the proof is a copy, or a run that was truly trained.
        false_steps: the steps that the program of the proof does not give, as the forger knows.
        gradients: how many gradients of a batch were evaluated for it, those of an honest training of the same length
            being one a step.
        parents: proofs that it starts from, and that the forger shows.
        parent_steps: the false steps of the first of them, as the forger knows.
        gain: how far the parameters end from where the same run without changes ends, as a share of the way from the
            initial to the final ones; None for an attack that does not change single steps of a true run.
    """

    root: Path
    task: Task
    transcript: Transcript | None
    false_steps: tuple[int, ...]
    gradients: int
    parents: tuple[Path, ...] = ()
    parent_steps: tuple[int, ...] = ()
    gain: float | None = None

    @property
    def source(self) -> Source:
        """Return the records that the forger shows."""
        return self.task.source


@dataclass(frozen=True)
class Attack:
    """An attack says how a proof is forged, and what that shows.

    Attributes:
        name: of the attack on the command line.
        source: who published it, or that it is this project's own.
        assumes: what the forger knows and may choose.
        makes: what a verifier who accepts believes wrongly.
        forge: writes the proof to a directory that does not exist yet. It raises `UsageError` if the task does not have
            what the attack needs.
        promised: whether this project promises that no verifier who trusts the source of the task accepts it. Where it
            is false, the threat model says so.
    """

    name: str
    source: str
    assumes: str
    makes: str
    forge: Callable[[Setting, Path], Forged]
    promised: bool = True


def of_length(task: Task, steps: int) -> Task:
    """Return the task with another number of steps, and the same program."""
    return replace(task, steps=steps)


def needed(places: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Return places of leaves, of which an attack needs at least one.

    Raises:
        UsageError: there is none.
    """
    if not places:
        raise UsageError(f"this attack needs {what}, and the task has none")
    return places
