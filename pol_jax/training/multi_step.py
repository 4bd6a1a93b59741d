"""A task of very short steps runs several of them in one call: one step of the proof is then this many of the task.

A call of a compiled program costs some 50 µs, and a row of the ledger 100 µs and more, whatever the step computes. So
steps of microseconds are put together by `jax.lax.scan`, for training and proof alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from pol_jax.errors import TaskError
from pol_jax.training.task import Key, PyTree, Task


def multi_step(task: Task, steps_per_call: int) -> Task:
    """Return a task whose step runs ``steps_per_call`` steps of ``task`` in one call.

    The prover commits to it as to any other program, and to the number by the program and the batch size. All that a
    proof says of a step it then says of a call: it is witnessed at its end, drawn, opened, replayed and accepted as a
    whole; checkpoints, interventions and resumption come between calls.

    - A call receives the records of its steps, ``steps_per_call * batch_size``, in the order of the run: each step has
      the batch that it would have by itself.
    - The call's key is split into one for each step, by `jax.random.split`; these are other keys than those that the
      steps would have by themselves.
    - A metric of a call is the mean over its steps, in float32.
    - ``steps``, ``interval`` and the numbers that callers give count calls.

    Never do this to a step with a convolution on a CPU: XLA compiles one inside of a loop to code that is many times
    slower.

    Raises:
        TaskError: the number is not a positive integer, does not divide the task's steps, or makes a batch too large.
    """
    if isinstance(steps_per_call, bool) or not isinstance(steps_per_call, int) or steps_per_call < 1:
        raise TaskError(f"steps_per_call: expected a positive integer, got {steps_per_call!r:.40}")
    # A call of fewer steps would be another program.
    if task.steps % steps_per_call:
        raise TaskError(f"steps_per_call: {steps_per_call} does not divide the {task.steps} steps of {task.name!r}")

    def call(state: PyTree, records: PyTree, key: Key) -> tuple[PyTree, Mapping[str, jax.Array]]:
        def one(state: PyTree, given: tuple[PyTree, Key]) -> tuple[PyTree, Mapping[str, jax.Array]]:
            new, metrics = task.step(state, *given)
            return jax.tree.map(_as_carried, new), {name: jnp.float32(value) for name, value in metrics.items()}

        batches = jax.tree.map(lambda leaf: leaf.reshape(steps_per_call, task.batch_size, *leaf.shape[1:]), records)
        state, metrics = jax.lax.scan(one, state, (batches, jax.random.split(key, steps_per_call)))
        return state, {name: jnp.mean(values) for name, values in metrics.items()}

    return replace(
        task,
        step=call,
        batch_size=task.batch_size * steps_per_call,
        steps=task.steps // steps_per_call,
        interval=max(1, task.interval // steps_per_call),
        hyperparameters={**task.hyperparameters, "steps_per_call": steps_per_call},
    )


def _as_carried(leaf: Any) -> jax.Array:
    """Return a leaf of a new state as a loop carries it: a type that was only assumed (a "weak" one) is settled."""
    array = jnp.asarray(leaf)
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return array if is_key else jax.lax.convert_element_type(array, array.dtype)
