"""Kolmogorov-Smirnov test of the initial state, layer by layer (Jia et al., IEEE S&P 2021, section V.D).

For information: the initial state is re-derived, which says all that matters. The test compares each leaf that ``init``
draws at random with what ``init`` draws there under another key: two samples of one distribution, if the leaf is
honest. The smallest p of many leaves is small by chance; it is multiplied by their number (Bonferroni; for the
smallest one Holm's correction is the same).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pol_jax.errors import BackendError
from pol_jax.program.artifact import Program, executing
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.initial import taken
from pol_jax.protocol.keys import MAX_STEPS
from pol_jax.reports.report import KolmogorovSmirnov
from pol_jax.training.initial_state import first_key
from pol_jax.training.keys import step_keys

_MOST_ELEMENTS = 2**16
"""Of a leaf that are compared, evenly spaced: what a larger sample would tell, this one tells."""


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
        with executing():
            own, other = (
                [np.asarray(leaf) for leaf in program.init(key)] for key in (first_key(commitment), other_key)
            )
    except BackendError:
        return None
    given = taken(commitment.initial, commitment.state)
    found = []
    for at, (leaf, array, mine, reference) in enumerate(zip(commitment.state, leaves, own, other, strict=True)):
        if at in given or "float" not in leaf.dtype or array.size < 2 or not np.isfinite(reference).all():
            continue
        if not np.array_equal(mine, reference):
            found.append((_p_value(array, reference), leaf.path))
    if not found:
        return None
    p, path = min(found)
    return KolmogorovSmirnov(len(found), min(1.0, len(found) * p), path)


def _p_value(leaf: np.ndarray, reference: np.ndarray) -> float:
    """That two samples of one distribution are as far apart; 0 if one is not finite."""
    from scipy.stats import ks_2samp  # takes long to import, and who verifies from the key alone has no use for it

    if not np.isfinite(leaf).all():
        return 0.0
    return float(ks_2samp(_sample(leaf), _sample(reference)).pvalue)


def _sample(leaf: np.ndarray) -> np.ndarray:
    return leaf.reshape(-1)[:: -(-leaf.size // _MOST_ELEMENTS)].astype(np.float64)
