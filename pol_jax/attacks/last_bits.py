"""This attack chooses last bits of a state, which the forger's program reads two steps later.

It is this project's own, and is judged on another backend. The forger is the author of the program. Its leaf ``noise``
moves by the records, as a running mean would; ``kept`` is that leaf a step before; and each parameter moves by the last
bit of its element of ``kept``, in operations that have the same bits on every machine. An honest run is a random walk.
The forger sets the last bits of ``noise`` after each step, which is no more than rounding: the step itself agrees, and
so does one more step (rule 4 of section 14.1); the parameters follow in the step after that. Therefore nothing has a
tolerance whose step reads bits (section 13.1), and a leaf that last places steer is not accepted (rule 5).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.attacks.attack import Attack, Forged, Setting
from pol_jax.attacks.false_proof import FalseProof
from pol_jax.attacks.transcript import execute, parameters_of, state_distance
from pol_jax.errors import UsageError
from pol_jax.protocol.trees import HostLeaves
from pol_jax.training.task import Key, PyTree, Task

STEPS: Final = 40

PACE: Final = 2.0
"""In all steps together, a parameter can go so many times the typical size of a parameter, which its first draw and its
stolen value both have."""

_LEAVES: Final = ("/kept", "/noise", "/params")
"""The paths of the program's state, in the order of the commitment."""


def walking(task: Task, size: int, typical: float, steps: int) -> Task:
    """Return a task on the same records, whose ``size`` parameters walk by last bits, from a draw of a typical size."""
    stride = np.float32(PACE * typical / steps)

    def init(key: Key) -> PyTree:
        first, second = jax.random.split(key)
        noise = jax.random.normal(first, (size,))
        return {"kept": noise, "noise": noise, "params": typical * jax.random.normal(second, (size,))}

    def step(state: PyTree, batch: PyTree, key: Key) -> tuple[PyTree, PyTree]:
        numbers = next(leaf for leaf in jax.tree.leaves(batch) if jnp.issubdtype(leaf.dtype, jnp.floating))
        mean = jnp.mean(numbers.reshape(len(numbers), -1), 0)
        noise = state["noise"] + 0.1 * (0.5 + jnp.resize(mean, (size,)))
        last = jax.lax.bitcast_convert_type(state["kept"], jnp.uint32) & 1
        params = state["params"] + jnp.where(last == 1, stride, -stride)
        return {"kept": state["noise"], "noise": noise, "params": params}, {"loss": jnp.mean(jnp.square(noise))}

    return replace(task, init=init, step=step, steps=steps)


def _walk(setting: Setting, out: Path) -> Forged:
    """Choose the last bits of ``noise`` so that the parameters walk to the stolen model."""
    if not any(np.issubdtype(np.asarray(leaf).dtype, np.floating) for leaf in jax.tree.leaves(setting.task.source[0])):
        raise UsageError("last-bits: needs records of floating-point numbers")
    wanted = np.concatenate([setting.target[at].reshape(-1) for at in parameters_of(setting.spec)])
    typical = float(np.sqrt(np.mean(np.square(wanted))))
    task = walking(setting.task, wanted.size, typical, STEPS)
    proof = FalseProof.begin(out, task, 1, setting.named())
    kept, noise, params = (
        next(at for at, leaf in enumerate(proof.commitment.state) if leaf.path == p) for p in _LEAVES
    )
    stride = np.float32(PACE * typical / STEPS)

    def change(_step: int, _before: HostLeaves, after: HostLeaves) -> HostLeaves:
        # What is chosen in ``noise`` now is in ``kept`` a step later, and moves the parameters in the step after that.
        following = after[params] + np.where(_last(after[kept]) == 1, stride, -stride)
        found = list(after)
        flipped = _last(after[noise]) != (wanted > following)
        found[noise] = np.where(flipped, (after[noise].view(np.uint32) ^ 1).view(np.float32), after[noise])
        return found

    told = execute(proof.program, proof.initial, proof.inputs, change)
    honest = execute(proof.program, proof.initial, proof.inputs)
    proof.write(told, cpu="an abacus")
    spec, places = proof.commitment.state, (params,)
    way = state_distance(spec, told.states[0], told.states[-1], places)
    off = state_distance(spec, honest.states[-1], told.states[-1], places)
    return Forged(out, proof.task, told, told.altered, STEPS, gain=off / way)


def _last(leaf: np.ndarray) -> np.ndarray:
    found: np.ndarray = leaf.view(np.uint32) & 1
    return found


ATTACKS: Final = (
    Attack(
        "last-bits",
        "own",
        "the final model; the forger is the author of the program; another backend is named",
        "steps whose last bits were chosen, and a program that moves parameters by them two steps later",
        _walk,
    ),
)
