"""A probe shows how much a step's update depends on its batch and on its state (docs/protocol.md, section 13.1).

That a path leads from the batch to the new state (section 9) says little: a program may multiply the batch by 1e-12 and
pull the parameters to values of its own. So one step is executed with other numbers, and what that changes is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np

from pol_jax.judging.leaf_numbers import doubles, finite_distance, is_floating
from pol_jax.program.artifact import Leaves, Program, executing
from pol_jax.protocol.commitment import nbytes
from pol_jax.protocol.distances import finite
from pol_jax.protocol.encoding import record_digests
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.reports.dependence import Dependence
from pol_jax.training.freed_memory import give_memory_back
from pol_jax.training.inputs import StepInput
from pol_jax.training.records import Batch, record_rows

_Ends = tuple[Callable[[int], np.ndarray], HostLeaves]
"""The ends of a step are what gives a leaf of the state before it, by its place, and the state after it."""

_LARGE: Final = 1 / 16
"""A leaf counts if it holds this share of all moved values; small ones may be counters and statistics."""

_ENOUGH: Final = 16
"""A leaf counts if the step moves this many of its values, if any leaf has this many: a single one may be a rate."""

_MOST_BYTES: Final = 2**30
"""No step of a larger state is tried: three of them are in memory."""

_CHUNK: Final = 2**20
"""This many numbers of a leaf are compared at a time."""


def probe_dependence(program: Program, before: HostLeaves, given: StepInput) -> Dependence | None:
    """Execute a step from a state with its own batch, with another one, and from another state.

    Args:
        program: of the run.
        before: leaves of the state before the step.
        given: inputs of the step.

    Returns:
        None where the state is too large.

    Raises:
        BackendError: the program can't be executed here.
    """
    spec = program.signature.state
    if sum(leaf.nbytes for leaf in before) > _MOST_BYTES:
        return None
    give_memory_back(nbytes(spec))
    start = [given.changed.get(at, leaf) for at, leaf in enumerate(before)]
    as_it_was, rearranged = start.__getitem__, partial(_rearranged, spec, start)
    # An intervention is part of the state that the step starts from, and is put in before.
    given = replace(given, changed={})
    own = as_it_was, _execute(program, as_it_was, given)
    batch = batch_leaf = state = state_leaf = None
    numbers = tuple(np.asarray(leaf) for leaf in given.batch)
    others = _other_batch(numbers)
    # A step that is compared with itself would seem to depend on nothing.
    if _differ(numbers, others):
        other = replace(given, batch=others)
        batch, batch_leaf = _least_change(spec, own, (as_it_was, _execute(program, as_it_was, other)))
        give_memory_back(nbytes(spec))
    if any(_differ([leaf], [rearranged(at)]) for at, leaf in enumerate(start)):
        state, state_leaf = _least_change(spec, own, (rearranged, _execute(program, rearranged, given)))
    return Dependence(given.step, batch, batch_leaf, state, state_leaf)


def _other_batch(batch: Batch) -> Batch:
    """Return the batch with its numbers in other places; the first record in all places, if records only change theirs.

    Sums over a batch are the same in any order of its records.
    """
    moved = tuple(map(_moved_on, batch))
    if sorted(record_digests(record_rows(moved))) == sorted(record_digests(record_rows(batch))):
        return tuple(np.repeat(leaf[:1], len(leaf), axis=0) for leaf in batch)
    return moved


def _differ(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    return any(a is not b and a.tobytes() != b.tobytes() for a, b in zip(first, second, strict=True))


def _moved_on(leaf: np.ndarray) -> np.ndarray:
    """Return the same numbers in other places: whatever holds for all of them, such as a sign, still holds."""
    return np.roll(leaf.reshape(-1), _way(leaf.size)).reshape(leaf.shape)


def _way(size: int) -> int:
    """Return by how many places each of so many numbers moves on: about half of them, and never all the way around."""
    return size // 2 + (size > 2)


def _rearranged(spec: StateSpec, state: HostLeaves, at: int) -> np.ndarray:
    """Return a leaf with its numbers in other places, made when it is needed: a whole state would be one more."""
    return _moved_on(state[at]) if is_floating(spec[at].dtype) else state[at]


def _execute(program: Program, before: Callable[[int], np.ndarray], given: StepInput) -> list[np.ndarray]:
    with executing(program.signature):
        after, _ = program.step(_put(program, before), given.batch, given.key)
        return [np.asarray(leaf) for leaf in after]


def _put(program: Program, before: Callable[[int], np.ndarray]) -> Leaves:
    """Return a copy of a state on the device, or on those of the mesh, leaf by leaf."""
    if program.placement is not None:
        leaf = lru_cache(maxsize=1)(before)  # all parts of a leaf are asked for together
        return program.placement.put(program.signature.leaves(), lambda at, index: leaf(at)[index])
    # `jnp.array` would make a copy of numpy's first, and leave it for later.
    places = range(len(program.signature.state))
    return tuple(jnp.copy(jax.device_put(before(at))).block_until_ready() for at in places)


def _least_change(spec: StateSpec, own: _Ends, other: _Ends) -> tuple[float | None, str | None]:
    """Return the leaf whose update changes least, and by which share; None if no large leaf moves."""
    floating = [at for at, leaf in enumerate(spec) if is_floating(leaf.dtype)]
    moved = {at: int(np.count_nonzero(own[0](at) != own[1][at])) for at in floating}
    # Where no leaf moves so many values, the one that moves most is looked at all the same.
    least = min(_ENOUGH, max(moved.values(), default=0))
    shares = {
        at: _change([np.ravel(leaf) for before, after in (own, other) for leaf in (before(at), after[at])])
        for at, count in moved.items()
        if count and count >= max(least, _LARGE * sum(moved.values()))
    }
    if not shares:
        return None, None
    at = min(shares, key=shares.__getitem__)
    share = finite(shares[at])
    return share, None if share is None else spec[at].path


def _change(ends: Sequence[np.ndarray]) -> float:
    """Return the distance between two updates of a leaf over the larger one; infinite where it is not known.

    Args:
        ends: the leaf, flat, before and after one update, and before and after the other.
    """
    apart, sizes = 0.0, [0.0, 0.0]
    for at in range(0, ends[0].size, _CHUNK):  # leaves of doubles would be as large as two states
        parts = [doubles(leaf[at : at + _CHUNK]) for leaf in ends]
        first, second = parts[1] - parts[0], parts[3] - parts[2]
        apart = math.hypot(apart, finite_distance(first, second))
        nothing = np.zeros_like(first)
        sizes = [
            math.hypot(*pair)
            for pair in zip(sizes, (finite_distance(x, nothing) for x in (first, second)), strict=True)
        ]
    return apart / max(sizes) if max(sizes) else math.inf
