"""The distances between two states, over all their floating-point leaves or over the parameters alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pol_jax.protocol.distances import distance
from pol_jax.protocol.policies import METRICS
from pol_jax.protocol.trees import LeafSpec, split_pointer

Distances = Mapping[str, float]
"""A distance by the name of its metric: l1, l2, linf, cosine. All are NaN where there is no leaf to compare."""


def state_distances(spec: Sequence[LeafSpec], first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> Distances:
    """Return every distance over all floating-point leaves."""
    return {metric: distance(tuple(spec), first, second, metric) if spec else math.nan for metric in METRICS}


def parameter_distances(
    spec: Sequence[LeafSpec], first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> Distances:
    """Return every distance over the parameters, which are the leaves whose path begins with ``/params``.

    This is what Jia et al. (IEEE S&P 2021, arXiv:2103.05633) compare.
    """
    places = [at for at, leaf in enumerate(spec) if split_pointer(leaf.path)[:1] == ["params"]]
    return state_distances([spec[at] for at in places], [first[at] for at in places], [second[at] for at in places])
