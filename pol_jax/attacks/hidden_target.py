"""These attacks hide the stolen model in the program, in its records, or in the optimizer's state.

They are this project's own. In the first two, the forger is the author of the program: each step trains, and pulls the
parameters towards numbers that the program holds or is given. Every state is then what the program truly gives, so that
no replay shows anything; what helps is to read the program, or to compare it with source that the verifier trusts. The
optimizer's state is different: there a trusted program does the work, from one state that it did not give.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting, needed, of_length
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import execute, parameters_of, state_distance
from pol_jax.program.artifact import executing
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.export import Structure, structure_of
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import Arrays
from pol_jax.training.task import Key, PyTree, Task

PULL: Final = 0.2
"""Each step goes this share of the way that is left to the target."""

LEVELS: Final = 127
"""The target is written in whole numbers of at most this magnitude, so that each is one byte (``int8``)."""

LARGEST: Final = 2**16
"""The forger tries momenta up to this many times the way to the target."""


def packed(leaf: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a leaf as bytes, and what one of them stands for."""
    unit = float(np.abs(leaf).max()) / LEVELS or 1.0  # a leaf of zeros would have a unit of 0
    return np.rint(leaf / unit).astype(np.int8), unit


def pulled_to(structure: Structure, state: PyTree, places: tuple[int, ...], target: list[jax.Array]) -> PyTree:
    """Return a state whose leaves at ``places`` are nearer to the target; it is part of the forger's program."""
    leaves = list(structure.leaves(state))
    for at, wanted in zip(places, target, strict=True):
        leaves[at] = (leaves[at] + PULL * (wanted - leaves[at])).astype(leaves[at].dtype)
    return structure.state(leaves)


def _train(setting: Setting, out: Path, task: Task, **choices: int) -> Forged:
    proof = FalseProof.begin(out, of_length(task, setting.steps), setting.interval, setting.named(), **choices)
    transcript = execute(proof.program, proof.initial, proof.inputs)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, (), proof.steps)


def _in_constants(setting: Setting, out: Path) -> Forged:
    """Write the target into the step program, a byte for each parameter."""
    places, structure = parameters_of(setting.spec), _structure(setting)
    constants = [packed(setting.target[at]) for at in places]

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        new, metrics = setting.task.step(state, batch, key)
        target = [jnp.asarray(number, jnp.float32) * unit for number, unit in constants]
        return pulled_to(structure, new, places, target), metrics

    size = sum(number.size for number, _ in constants)
    # The forger's own export refuses no constants. How many are too many is the verifier's limit (section 11).
    return _train(setting, out, replace(setting.task, step=step), constant_bytes=2**16 + 8 * size)


def _in_records(setting: Setting, out: Path) -> Forged:
    """Give every record the whole target beside what it was; the program takes it from the first of a batch."""
    places, structure = parameters_of(setting.spec), _structure(setting)
    flat = np.concatenate([setting.target[at].reshape(-1).astype(np.float32) for at in places])
    sizes = np.cumsum([0, *(setting.target[at].size for at in places)])

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        new, metrics = setting.task.step(state, batch["record"], key)
        whole = batch["more"][0]
        target = [
            whole[sizes[number] : sizes[number + 1]].reshape(setting.target[at].shape)
            for number, at in enumerate(places)
        ]
        return pulled_to(structure, new, places, target), metrics

    source = setting.task.source
    records = [{"record": source[index], "more": flat} for index in range(len(source))]
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *records)
    return _train(setting, out, replace(setting.task, step=step, source=Arrays(stacked)))


def _in_optimizer(setting: Setting, out: Path) -> Forged:
    """Set the momentum in the middle of a true run, so that the next true step jumps towards the target."""
    parameters = parameters_of(setting.spec)
    momenta = needed(_momenta(setting, parameters), "a momentum of every parameter (/mu/ or /trace/)")
    proof = FalseProof.begin(out, of_length(setting.task, setting.steps), setting.interval, setting.named())
    chosen, tried = setting.places_for_one(setting.steps // 2), 0

    def change(step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        nonlocal tried
        if step not in chosen or step == proof.steps:
            return after  # a momentum acts in the step that follows, and none follows the last one
        found, more = _best_momentum(proof, after, proof.inputs[step], setting, parameters, momenta)
        tried += more
        return found

    transcript = execute(proof.program, proof.initial, proof.inputs, change)
    proof.write(transcript)
    return Forged(out, proof.task, transcript, transcript.altered, setting.steps + tried)


def _best_momentum(
    proof: FalseProof,
    state: HostLeaves,
    following: StepInput,
    setting: Setting,
    parameters: tuple[int, ...],
    momenta: tuple[int, ...],
) -> tuple[HostLeaves, int]:
    """Return the state with the momentum whose next step ends nearest to the target, of many lengths, and how many."""
    found = list[tuple[float, HostLeaves]]()
    # Both signs: optimizers differ in whether the momentum is added or subtracted.
    lengths = [sign * 4.0**power for power in range(-6, 9) for sign in (1, -1) if 4.0**power <= LARGEST]
    with executing(proof.program.signature):
        for length in lengths:
            made = list(state)
            for at, own in zip(momenta, parameters, strict=True):
                made[at] = (length * (setting.target[own] - state[own])).astype(state[at].dtype)
            new, _ = proof.program.step(tuple(jnp.array(leaf) for leaf in made), following.batch, following.key)
            after = [np.asarray(leaf) for leaf in new]
            found.append((state_distance(setting.spec, after, setting.target, parameters), made))
    return min(found, key=lambda one: one[0])[1], len(lengths)


def _momenta(setting: Setting, parameters: tuple[int, ...]) -> tuple[int, ...]:
    """Return the place of each parameter's momentum, or nothing if one of them has none."""
    paths = [leaf.path for leaf in setting.spec]
    # Optax calls the momentum of Adam "mu" and that of SGD "trace", and gives each the path of its parameter.
    names = [paths[at].removeprefix("/params") for at in parameters]
    found = [
        next((at for at, path in enumerate(paths) if path.endswith((f"/mu{name}", f"/trace{name}"))), None)
        for name in names
    ]
    return () if None in found else tuple(at for at in found if at is not None)


def _structure(setting: Setting) -> Structure:
    return structure_of(setting.task, setting.victim.commitment.schedule.prng)


ATTACKS: Final = (
    Attack(
        "target-in-constants",
        "own",
        "the final model; the forger is the author of the program",
        "true steps of a program that holds the stolen model, a byte for each parameter",
        _in_constants,
    ),
    Attack(
        "target-in-records",
        "own",
        "the final model; the forger is the author of program and records",
        "true steps of a program that reads the stolen model from its records",
        _in_records,
    ),
    Attack(
        "target-in-optimizer",
        "own",
        "the final model; an optimizer with momentum",
        "one false momentum, by which the next true step jumps towards the stolen model",
        _in_optimizer,
    ),
)
