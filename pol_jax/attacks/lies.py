"""These attacks truly train, but with other records or other hyperparameters than the proof says.

Data subtraction and addition are of D. Choi et al., "Tools for Verifying Neural Models' Training Data", NeurIPS 2023.
That the paper's rule takes hyperparameters from the prover is the point of R. Zhang et al. and of C. Fang et al. Here
they are in the program that the forger commits to, while another program trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import Change, as_it_is, execute, parameters_of
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import Arrays, take
from pol_jax.training.task import Source, Task

SHARE: Final = 0.02
"""This share of the records differs from what the forger says."""

RATE: Final = 1.05
"""The true rate is this many times the one that is told."""

DECAY: Final = 1e-4
"""The true training takes this share off each weight in each step, which is not told."""


def _train_otherwise(
    setting: Setting,
    out: Path,
    claimed: Task,
    inputs_of: Callable[[FalseProof, StepInput], StepInput] = lambda _proof, inputs: inputs,
    change: Change = as_it_is,
) -> Forged:
    """Train with other inputs, or with changes, and say that the commitment's were used."""
    proof = FalseProof.begin(out, of_length(claimed, setting.steps), setting.interval, setting.named())
    used = [each if each.step <= setting.true_steps else inputs_of(proof, each) for each in proof.inputs]

    def changed(step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return after if step <= setting.true_steps else change(step, before, after)

    # The rows tell of the committed inputs, so that stage 5 finds nothing; the states come from the others.
    transcript = replace(execute(proof.program, proof.initial, used, changed), inputs=proof.inputs)
    proof.write(transcript)
    # A step is false too where its state is what the program gives, but for another batch than the one that is told.
    other = [each.step for each, told in zip(used, proof.inputs, strict=True) if _differ(each, told)]
    return Forged(out, proof.task, transcript, tuple(sorted({*transcript.altered, *other})), setting.steps)


def _differ(a: StepInput, b: StepInput) -> bool:
    return any(x.tobytes() != y.tobytes() for x, y in zip(a.batch, b.batch, strict=True))


def with_others(source: Source, places: np.ndarray) -> Arrays:
    """Return the records of a source, in which those at ``places`` are copies of the ones after them."""
    copied = {int(place): (int(place) + 1) % len(source) for place in places}
    records = [source[copied.get(index, index)] for index in range(len(source))]
    return Arrays(jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *records))


def _places(setting: Setting) -> np.ndarray:
    size = len(setting.task.source)
    chosen: np.ndarray = setting.chance.choice(size, max(1, int(SHARE * size)), False)
    return chosen


def _from(used: Source) -> Callable[[FalseProof, StepInput], StepInput]:
    def inputs_of(proof: FalseProof, inputs: StepInput) -> StepInput:
        batch = take(used, proof.commitment.data.record, inputs.indices.astype(np.int64))
        return replace(inputs, batch=batch)

    return inputs_of


def _subtract(setting: Setting, out: Path) -> Forged:
    """Train on all records, and commit to a data set without some of them."""
    claimed = replace(setting.task, source=with_others(setting.task.source, _places(setting)))
    return _train_otherwise(setting, out, claimed, _from(setting.task.source))


def _add(setting: Setting, out: Path) -> Forged:
    """Commit to the true records, and train with some others among them."""
    return _train_otherwise(setting, out, setting.task, _from(with_others(setting.task.source, _places(setting))))


def _other_rate(setting: Setting, out: Path) -> Forged:
    places = parameters_of(setting.spec)

    def change(_step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return _at(after, places, lambda at: before[at] + RATE * (after[at] - before[at]))

    return _train_otherwise(setting, out, setting.task, change=change)


def _other_decay(setting: Setting, out: Path) -> Forged:
    places = parameters_of(setting.spec)

    def change(_step: int, before: HostLeaves, after: HostLeaves) -> HostLeaves:
        return _at(after, places, lambda at: after[at] - DECAY * before[at])

    return _train_otherwise(setting, out, setting.task, change=change)


def _half_batch(setting: Setting, out: Path) -> Forged:
    """Train on the first half of each batch, twice; that costs half of the gradients."""

    def inputs_of(proof: FalseProof, inputs: StepInput) -> StepInput:
        size = proof.task.batch_size
        # The program is exported for batches of B records (section 9): each record of the half is given twice.
        half = np.arange(size) % max(1, size // 2)
        return replace(inputs, batch=tuple(leaf[half] for leaf in inputs.batch))

    forged = _train_otherwise(setting, out, setting.task, inputs_of)
    return replace(forged, gradients=setting.steps // 2)


def _at(state: HostLeaves, places: tuple[int, ...], value: Callable[[int], Any]) -> HostLeaves:
    found = list(state)
    for at in places:
        found[at] = np.asarray(value(at)).astype(state[at].dtype)
    return found


ATTACKS: Final = (
    Attack(
        "data-subtraction",
        "Choi et al., NeurIPS 2023",
        "the forger trains",
        "a model that was trained on records that the data set is said not to have",
        _subtract,
    ),
    Attack(
        "data-addition",
        "Choi et al., NeurIPS 2023",
        "the forger trains",
        "a model that was trained on records beside those of the data set",
        _add,
    ),
    Attack(
        "other-rate",
        "Zhang et al., S&P 2022; Fang et al., EuroS&P 2023",
        "the forger trains",
        f"a model that was trained with {RATE} times the rate that is told",
        _other_rate,
    ),
    Attack(
        "other-decay",
        "Zhang et al., S&P 2022; Fang et al., EuroS&P 2023",
        "the forger trains",
        f"a model whose weights decayed by {DECAY:g} a step, which is not told",
        _other_decay,
    ),
    Attack(
        "half-batch",
        "Zhang et al., S&P 2022; Fang et al., EuroS&P 2023",
        "the forger trains",
        "a model that was trained on half of each batch, for half of the cost",
        _half_batch,
    ),
)
