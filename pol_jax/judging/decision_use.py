"""What a comparison with decisions took of the prover, and how far that could have led it (docs/protocol.md, 14.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from pol_jax.judging.displacement import displacements
from pol_jax.judging.leaf_distances import doubles, is_floating
from pol_jax.judging.tolerance import StepComparison
from pol_jax.protocol.distances import HostLeaves, finite
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Room
from pol_jax.reports.outcomes import Outcome

LeafRooms = tuple[Room, ...]
"""How far the elements of a leaf could be off, by their magnitude."""


def choice_rooms(spec: StateSpec, own: HostLeaves, turned: Sequence[HostLeaves]) -> list[LeafRooms]:
    """Return how far each leaf is moved if near ties are chosen wrongly.

    Args:
        spec: of the states.
        own: the state with the choices that were used.
        turned: the states with wrong choices: of parts of the near ties, whose distances are added.
    """
    rooms = [dict[int, float]() for _ in spec]
    for state in turned:
        for at, (leaf, gone) in enumerate(zip(spec, displacements(spec, own, state), strict=True)):
            for magnitude, distance in gone.distances.items():
                rooms[at][magnitude] = rooms[at].get(magnitude, 0.0) + distance
            if is_floating(leaf.dtype) and _is_lost(own[at], state[at]):
                rooms[at] = dict.fromkeys(rooms[at] or (0,), math.inf)
    return [_rooms(each.items()) for each in rooms]


def with_choices(found: StepComparison, choices: Sequence[LeafRooms]) -> StepComparison:
    """Add to what a false step could hide what its choices at near ties could have moved.

    A prover may choose all of them, in every step. So each leaf could be off by that much more than its tolerance.

    Args:
        found: the judgement on results for which entries were used.
        choices: for each leaf, how far near ties could move it (`choice_rooms`).
    """
    if found.outcome is not Outcome.PASSED:
        return found
    leaves = tuple(
        msgspec.structs.replace(leaf, rooms=_added(leaf.rooms, moved))
        for leaf, moved in zip(found.leaves, choices, strict=True)
    )
    return msgspec.structs.replace(found, leaves=leaves)


def total_choices(choices: Sequence[LeafRooms]) -> float | None:
    """Return how far near ties could move the whole state; None if that is not finite."""
    return finite(math.hypot(*(_size(room) for leaf in choices for room in leaf)))


def _added(rooms: LeafRooms, more: LeafRooms) -> LeafRooms:
    """Return the sums of rooms of the same magnitude."""
    sizes = dict[int, float]()
    for room in (*rooms, *more):
        sizes[room.magnitude] = sizes.get(room.magnitude, 0.0) + _size(room)
    return _rooms(sizes.items())


def _rooms(sizes: Iterable[tuple[int, float]]) -> LeafRooms:
    return tuple(Room(magnitude, finite(size)) for magnitude, size in sorted(sizes))


def _size(room: Room) -> float:
    return math.inf if room.size is None else room.size


def _is_lost(own: np.ndarray, turned: np.ndarray) -> bool:
    """Return whether a number became NaN or infinite: it could be anywhere."""
    return bool((np.isfinite(doubles(own)) & ~np.isfinite(doubles(turned))).any())
