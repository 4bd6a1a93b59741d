"""The initial state is tested by Kolmogorov-Smirnov, leaf by leaf (Jia et al., IEEE S&P 2021, section V.D).

It is for information: the initial state is derived again, which decides (section 13.4 of the protocol). The test
compares each leaf that ``init`` draws at random with what ``init`` draws there under another key. For an honest leaf,
these are two samples of one distribution. Among many leaves, the smallest p-value is small by chance, so it is
multiplied by their number (Bonferroni's correction; for the smallest one it is the same as Holm's).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, lgamma

import numpy as np
from jaxtyping import Float64

from pol_jax.errors import BackendError
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import piece_digest
from pol_jax.protocol.initial import taken
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.reports.states import KolmogorovSmirnov
from pol_jax.training.initial_state import first_key
from pol_jax.training.keys import step_keys
from pol_jax.training.states import contiguous_bytes

_MOST_ELEMENTS = 2**16
"""This many elements of a leaf are compared, evenly spaced: a larger sample would tell no more."""


def ks_test(program: Program, commitment: Commitment, leaves: Sequence[np.ndarray]) -> KolmogorovSmirnov | None:
    """Test the floating-point leaves of an initial state that are drawn at random, of at least two elements.

    Args:
        program: whose ``init`` is to have given the state.
        commitment: gives the key of step 0, and the other key: that of the last step that any run can have.
        leaves: of the state, on the host.

    Returns:
        None if no leaf can be tested, or ``init`` can't be executed here.
    """
    other_key = step_keys(commitment.digest(), commitment.schedule.prng, MAX_STEPS, MAX_STEPS + 1)[0]
    try:
        with executing(program.signature):
            # Two states and the one that is tested would be three in memory.
            own = [piece_digest(contiguous_bytes(np.asarray(leaf))) for leaf in program.init(first_key(commitment))]
            other = [np.asarray(leaf) for leaf in program.init(other_key)]
    except BackendError:
        return None
    taken_over = taken(commitment.initial, commitment.state)
    found = []
    for at, (leaf, array, derived, reference) in enumerate(zip(commitment.state, leaves, own, other, strict=True)):
        if at in taken_over or "float" not in leaf.dtype or array.size < 2 or not np.isfinite(reference).all():
            continue
        # A leaf that is the same under two keys is not drawn at random: it has no distribution to be compared.
        if derived != piece_digest(contiguous_bytes(reference)):
            found.append((_p_value(array, reference), leaf.path))
    if not found:
        return None
    p, path = min(found)
    return KolmogorovSmirnov(len(found), min(1.0, len(found) * p), path)


def _p_value(leaf: np.ndarray, reference: np.ndarray) -> float:
    """Return the probability that samples of one distribution are this far apart; 0 if the leaf is not finite."""
    return two_sample_p_value(_sample(leaf), _sample(reference)) if np.isfinite(leaf).all() else 0.0


def two_sample_p_value(a: Float64[np.ndarray, " n"], b: Float64[np.ndarray, " n"]) -> float:
    """Return the exact p-value of the two-sided test of two samples of one size.

    Of all ways to mix the samples, it is the share in which their distribution functions are at least this far apart.
    These are walks that leave a strip, which are counted by reflections (Gnedenko and Korolyuk, 1951). scipy has the
    same test, but takes as long to import as all else in a verification.
    """
    size, places = len(a), np.concatenate([a, b])
    counts = [np.searchsorted(np.sort(each), places, side="right") for each in (a, b)]
    apart = int(np.abs(counts[0] - counts[1]).max())
    if apart == 0:
        return 1.0
    walks = range(apart, size + 1, apart)
    # By logarithms: binomial coefficients of 2^16 elements are far beyond what a double holds.
    shares = (exp(2 * lgamma(size + 1) - lgamma(size - ends + 1) - lgamma(size + ends + 1)) for ends in walks)
    # The terms alternate in sign, so that rounding may lead their sum a little below 0 or above 1.
    return min(1.0, max(0.0, 2 * fsum(share * (-1) ** at for at, share in enumerate(shares))))


def _sample(leaf: np.ndarray) -> np.ndarray:
    return leaf.reshape(-1)[:: -(-leaf.size // _MOST_ELEMENTS)].astype(np.float64)
