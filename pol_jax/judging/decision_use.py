"""What a comparison with decisions took of the prover, and how far that could have led it (docs/protocol.md, 14.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from pol_jax.judging.displacement import displacements
from pol_jax.judging.leaf_distances import doubles, is_floating
from pol_jax.protocol.distances import HostLeaves, finite
from pol_jax.protocol.spans import Span
from pol_jax.protocol.trees import StateSpec
from pol_jax.reports.comparison import Compared, Room, UsedDecisions

LeafRooms = tuple[Room, ...]
"""How far the elements of a leaf could be off, by their magnitude."""

_EXACT: Final = 2.0**53
"""Integers below are doubles."""

_HALVINGS: Final = 60
"""Steps of bisection; more than a double has bits."""


def choice_rooms(spec: StateSpec, own: HostLeaves, turned: Sequence[HostLeaves]) -> list[LeafRooms]:
    """Return how far each leaf is moved if near ties are chosen otherwise.

    A leaf of integers is measured too: rounding moves none of it, but what it decides may move all of it.

    Args:
        spec: of the states.
        own: the state with the choices that were used.
        turned: the states with other choices, whose distances are added: with wrong ones of parts of the near ties, and
            with this machine's own ones. Without the latter, a program could let wrong choices cancel each other.
    """
    rooms = [dict[int, float]() for _ in spec]
    for state in turned:
        for at, (leaf, gone) in enumerate(zip(spec, displacements(spec, own, state), strict=True)):
            for magnitude, distance in gone.distances.items():
                rooms[at][magnitude] = rooms[at].get(magnitude, 0.0) + distance
            if _is_lost(own[at], state[at]) or (not is_floating(leaf.dtype) and _is_vague(own[at], state[at])):
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
            (gone,) = displacements((leaf,), [before], [after])
            shares.append(1.0 if _is_lost(before, after) else gone.part_of(rooms))
        elif before.tobytes() != after.tobytes():
            shares.append(1.0)
    return max(shares)


def counted_share(compared: Sequence[Compared], drawn: Sequence[Span], confidence: float) -> float:
    """Return the share of what near ties could move that the whole run is reckoned with.

    The steps of a random draw show which share the prover took on average. With the draw's confidence, the mean m of
    all steps is at most the largest m for which q·KL(x‖m) ≤ ln(1 / (1 - confidence)), where x is the mean share of the
    q drawn steps and KL the relative entropy of two coins (Hoeffding 1963, theorem 1; it holds for draws without
    replacement too). Where the mean that is weighted by what near ties could move is larger, it is taken for x. If x is
    0, that is 1 - (1 - confidence)^(1/q), the share of false steps that a draw may miss.

    Args:
        compared: the comparisons; steps of the draw that are not among them were equal bit for bit.
        drawn: the span of each step of the draw; none where the prover could foresee what is checked.
        confidence: of the policy.

    Returns:
        1 where nothing was drawn.
    """
    if not drawn or confidence >= 1:
        return 1.0
    used: Mapping[Span, UsedDecisions] = {
        each.span: each.decisions for each in compared if each.passed and each.decisions is not None
    }
    found = [used[span] for span in drawn if span in used]
    # What tolerances add up to is a mean over the compared steps alone, and the shares are over all that were drawn.
    covered = len({each.span for each in compared if each.passed}.intersection(drawn))
    mean = max(sum(each.share for each in found), covered * _weighted_share(found)) / len(drawn)
    return _upper_bound(mean, math.log(1 / (1 - confidence)) / len(drawn))


def _weighted_share(used: Sequence[UsedDecisions]) -> float:
    """Return the mean share of comparisons, each weighted by how far its near ties could move the state.

    What a prover chooses in the few steps where near ties could move much is lost in a plain mean.
    """
    sizes = [math.inf if each.choices is None else each.choices for each in used]
    if math.inf in sizes:
        return max(each.share for each in used)
    return sum(each.share * size for each, size in zip(used, sizes, strict=True)) / (sum(sizes) or 1.0)


def rooms_with_choices(compared: Compared, leaf: int, chosen: float) -> LeafRooms:
    """Return how far a leaf could be off in a false comparison that passes like this one.

    Args:
        compared: the comparison, which passes.
        leaf: the leaf's place in the state.
        chosen: share of what near ties could move that counts (`counted_share`).
    """
    rooms = [*compared.rooms[leaf]]
    if compared.decisions is not None and compared.decisions.rooms:
        rooms += [Room(room.magnitude, finite(chosen * _size(room))) for room in compared.decisions.rooms[leaf]]
    sizes = dict[int, float]()
    for room in rooms:
        sizes[room.magnitude] = sizes.get(room.magnitude, 0.0) + _size(room)
    return _rooms(sizes.items())


def _upper_bound(mean: float, allowed: float) -> float:
    """Return the largest m in [mean, 1] with KL(mean‖m) ≤ allowed, by bisection."""
    low, high = mean, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _relative_entropy(mean, middle) <= allowed else (low, middle)
    return high


def _relative_entropy(x: float, m: float) -> float:
    """Return KL(x‖m) of two coins, 0 < m ≤ 1; m is 1 where rounding leaves nothing between."""
    if m >= 1 > x:
        return math.inf
    heads = x * math.log(x / m) if x else 0.0
    tails = (1 - x) * math.log((1 - x) / (1 - m)) if x < 1 else 0.0
    return heads + tails


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
