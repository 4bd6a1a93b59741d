"""A model at hand is tied to the final parameters of an accepted proof, leaf by leaf; and to the nearest step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from pol_jax.attesting.leaf_match import LeafMatch, plain_name
from pol_jax.attesting.matching import Match, NamedArrays, match_model
from pol_jax.errors import printable
from pol_jax.reports.identity import Deployed, ModelRelation
from pol_jax.storage.final_arrays import select_parameters

MOST_LEAVES: Final = 20
"""This many leaves that are not simply equal are listed."""


def compare_deployed(model: NamedArrays, final: NamedArrays, earlier: Iterable[tuple[int, NamedArrays]]) -> Deployed:
    """Return how a model relates to the final state of a run.

    Args:
        model: arrays of the model by name.
        final: the final state by path.
        earlier: steps and states of the run that are there too; they are read only where the model differs.
    """
    match = match_model(dict(model), _sought(model, final))
    listed = [leaf for leaf in match.leaves if not _is_plain(leaf)]
    difference: ModelRelation = "equal" if match.is_equal else "cast" if match.is_cast else "different"
    return Deployed(
        difference=difference,
        words=match.describe(),
        leaves=tuple(printable(leaf.describe()) for leaf in listed[:MOST_LEAVES]),
        omitted=max(0, len(listed) - MOST_LEAVES),
        holds_parameters=difference != "different" or _holds(model, select_parameters(dict(final))),
        distance=_finite(match.distance.relative),
        # Every stored state is read for this, so only where it tells something: a model that was taken before the end.
        nearest=_nearest(model, match, earlier) if difference == "different" else None,
    )


def _nearest(model: NamedArrays, match: Match, earlier: Iterable[tuple[int, NamedArrays]]) -> int | None:
    """Return the step whose state is nearer than the final one, and nearest of all; None if there is none."""
    nearest, least = None, _rank(match)
    for step, state in earlier:
        # Strictly less: of states that are as near, the earliest is named, and the final one before all.
        if (rank := _rank(match_model(dict(model), _sought(model, state)))) < least:
            nearest, least = step, rank
    return nearest


def _holds(model: NamedArrays, parameters: dict[str, np.ndarray]) -> bool:
    """Return whether each of the parameters is an array of the model."""
    exact = {leaf.leaf for leaf in match_model(dict(model), parameters).leaves if leaf.name and leaf.distance is None}
    return parameters.keys() <= exact


def _rank(match: Match) -> tuple[int, float]:
    """Return what is smaller for a nearer model: missing and foreign arrays first, then the distance."""
    odd = sum(leaf.name is None or leaf.leaf is None for leaf in match.leaves)
    return odd, match.distance.l2 if math.isfinite(match.distance.l2) else math.inf


def _sought(model: NamedArrays, state: NamedArrays) -> dict[str, np.ndarray]:
    """Return the parameters, and what else of the state the model names, such as batch statistics."""
    named = {plain_name(name) for name in model}
    others = {path: values for path, values in state.items() if plain_name(path) in named}
    return select_parameters(dict(state)) | others


def _is_plain(leaf: LeafMatch) -> bool:
    """Say whether a leaf is in the model under its name, unchanged."""
    unchanged = leaf.axes is None and leaf.cast is None and leaf.distance is None
    return leaf.name is not None and leaf.leaf is not None and not leaf.is_renamed and unchanged


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
