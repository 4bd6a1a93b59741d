"""Where an initial state comes from, and how far tolerances of earlier runs could have led it."""

from __future__ import annotations

import math

import msgspec
import pytest
from made_documents import made_commitment

from pol_jax.protocol.initial import EarlierProof, Initial, OwnKey, UnprovenWeights
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance, provenance_of

KERNEL = ("/params/kernel",)
CASES: list[tuple[Initial, Provenance]] = [
    (OwnKey(), Provenance(Beginning.OWN_KEY, None, None, (), 0, 2)),
    (
        EarlierProof("11" * 32, KERNEL, "22" * 32),
        Provenance(Beginning.EARLIER_PROOF, "11" * 32, "22" * 32, KERNEL, 640, 2),
    ),
    (
        UnprovenWeights(KERNEL, "22" * 32),
        Provenance(Beginning.UNPROVEN_WEIGHTS, None, "22" * 32, KERNEL, 640, 2),
    ),
]
DRIFT = Drift(1.0, 1.0, None, None, 0.25, None, 4, 0, share=0.125)
ANCESTOR = Ancestor(
    "11" * 32, Verdict.ACCEPTED, (), None, AllSegments(), None, None, Origin.TRUSTED, Mode.TOLERANCE, DRIFT
)


@pytest.mark.parametrize(("initial", "expected"), CASES)
def test_the_commitment_says_what_was_taken_over(initial: Initial, expected: Provenance) -> None:
    assert provenance_of(made_commitment(initial=initial)) == expected


def test_tolerances_of_an_earlier_run_lead_as_far_as_its_drift_says() -> None:
    assert (ANCESTOR.tolerated, ANCESTOR.share) == (0.25, 0.125)


def test_tolerances_without_a_bound_lead_anywhere() -> None:
    for drift in (None, msgspec.structs.replace(DRIFT, tolerated=None, share=None)):
        found = msgspec.structs.replace(ANCESTOR, drift=drift)
        assert (found.tolerated, found.share) == (math.inf, math.inf)


@pytest.mark.parametrize("changes", [{"mode": Mode.BITS}, {"verdict": Verdict.REJECTED}])
def test_equal_bits_lead_nowhere(changes: dict[str, Mode | Verdict]) -> None:
    """Nor does a run that is not accepted, from which nothing follows."""
    found = msgspec.structs.replace(ANCESTOR, drift=None, **changes)
    assert (found.tolerated, found.share) == (0.0, 0.0)
