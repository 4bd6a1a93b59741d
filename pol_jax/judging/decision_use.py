"""A comparison uses decisions of the prover; these functions measure how far that could have led (protocol, 14.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from pol_jax.judging.displacement import displacements
from pol_jax.judging.leaf_numbers import doubles, is_floating
from pol_jax.protocol.distances import finite
from pol_jax.protocol.trees import HostLeaves, StateSpec
from pol_jax.reports.comparison import Room

LeafRooms = tuple[Room, ...]
"""Leaf rooms say how far the elements of a leaf could be off, by their magnitude."""

_EXACT: Final = 2.0**53
"""Every integer below this number is a double; of those beyond, some are not."""


def choice_rooms(spec: StateSpec, own: HostLeaves, turned: Sequence[HostLeaves]) -> list[LeafRooms]:
    """Return how far each leaf is moved if near ties are decided in another way.

    A leaf of integers is measured too: rounding moves none of it, but what it decides may move all of it.

    Args:
        spec: of the states.
        own: the state with the choices that were used.
        turned: the states with other choices, whose distances are added: with wrong ones of parts of the near ties, and
            with this machine's own ones. Without the latter, a program could let wrong choices cancel each other.
    """
    rooms = [dict[int, float]() for _ in spec]
    for state in turned:
        for at, (leaf, moved) in enumerate(zip(spec, displacements(spec, own, state), strict=True)):
            for magnitude, distance in moved.distances.items():
                rooms[at][magnitude] = rooms[at].get(magnitude, 0.0) + distance
            if _is_lost(own[at], state[at]) or (not is_floating(leaf.dtype) and _is_vague(own[at], state[at])):
                # A leaf that has no room yet gets one, of any magnitude: nothing else would hold the infinity.
                rooms[at] = dict.fromkeys(rooms[at] or (0,), math.inf)
    return [_rooms(each.items()) for each in rooms]


def total_choices(spec: StateSpec, choices: Sequence[LeafRooms]) -> float | None:
    """Return how far near ties could move all floating-point leaves together; None if that is not finite."""
    floating = (rooms for leaf, rooms in zip(spec, choices, strict=True) if is_floating(leaf.dtype))
    return finite(math.hypot(*(_size(room) for rooms in floating for room in rooms)))


def used_share(spec: StateSpec, plain: HostLeaves, decided: HostLeaves, choices: Sequence[LeafRooms]) -> float:
    """Return what the used entries did of what all near ties could have done, where that is most.

    Each leaf is reckoned by itself, and its small elements by themselves too, as in what tolerances add up to.

    Args:
        spec: of the states.
        plain: the state without any entry.
        decided: the state with the used entries.
        choices: for each leaf, how far near ties could move it (`choice_rooms`).
    """
    shares = [0.0]
    for leaf, before, after, rooms in zip(spec, plain, decided, choices, strict=True):
        if is_floating(leaf.dtype):
            (moved,) = displacements((leaf,), [before], [after])
            shares.append(1.0 if _is_lost(before, after) else moved.part_of(rooms))
        # Where nothing is rounded, a decision may have led anywhere (section 14.2).
        elif before.tobytes() != after.tobytes():
            shares.append(1.0)
    return max(shares)


def _rooms(sizes: Iterable[tuple[int, float]]) -> LeafRooms:
    return tuple(Room(magnitude, finite(size)) for magnitude, size in sorted(sizes))


def _size(room: Room) -> float:
    return math.inf if room.size is None else room.size


def _is_lost(own: np.ndarray, turned: np.ndarray) -> bool:
    """Return whether a number became NaN or infinite: it could be anywhere."""
    return bool((np.isfinite(doubles(own)) & ~np.isfinite(doubles(turned))).any())


def _is_vague(own: np.ndarray, turned: np.ndarray) -> bool:
    """Return whether integers differ of which some are so large that a double doesn't show by how much."""
    differ = own.tobytes() != turned.tobytes()
    return differ and any(bool((np.abs(doubles(each)) >= _EXACT).any()) for each in (own, turned))
