"""A report says how far the final state could be from one that was trained as claimed (section 13.1)."""

from __future__ import annotations

import msgspec

from pol_jax.reports.curves import NonNegative


class Drift(msgspec.Struct, frozen=True):
    """A drift says how far false or tolerated steps could have moved the final state (section 13.1).

    Distances are Euclidean, over all floating-point leaves. A field is None if it is not finite or not known: an
    opening has no checkpoints.

    Attributes:
        distance: distance from the initial to the final state, over the values that are finite in both.
        path: sum of all updates from checkpoint to checkpoint.
        unchecked: sum of the largest updates that were not checked: as many as could be false without the draw having
            met one with ``confidence``; all of them, if the prover could foresee what was checked.
        confidence: confidence of the policy; None if ``unchecked`` has all updates that were not checked.
        tolerated: error of the whole run if every step had the error that was tolerated in the steps that passed; 0 if
            all are equal bit for bit.
        d_ref: a distance between two honest trainings, as the verifier gave it.
        updates: number of updates that were measured.
        infinitesimal: number of them that are far below the median update.
        share: largest share of a leaf's own distance from the initial to the final state that tolerated errors could
            make up over the run, of all its elements or of those up to some magnitude; None if that is not finite, and
            0 if all is equal bit for bit.
        leaf: path of that leaf; None if no tolerance was needed, or the distances are not known.
    """

    distance: float | None
    path: float | None
    unchecked: float | None
    confidence: float | None
    tolerated: float | None
    d_ref: float | None
    updates: NonNegative
    infinitesimal: NonNegative
    share: float | None = 0.0
    leaf: str | None = None
