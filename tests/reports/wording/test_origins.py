"""Where an initial state comes from, in words."""

from __future__ import annotations

import pytest
from example_reports import HOSTILE

from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.coverage import Coverage
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance
from pol_jax.reports.states import KolmogorovSmirnov
from pol_jax.reports.wording.origins import describe_ancestor, describe_provenance, describe_test

CLAIM = "1" * 64
CASES = [
    (Provenance(Beginning.OWN_KEY, None, None, (), 0, 3), "all leaves come from the run's own key"),
    (
        Provenance(Beginning.UNPROVEN_WEIGHTS, None, "2" * 64, ("/w",), 6, 3),
        "1 of 3 leaves (6 values) are of unproven origin; all others come from the run's own key",
    ),
    (
        Provenance(Beginning.EARLIER_PROOF, CLAIM, "2" * 64, ("/b", "/w"), 9, 3),
        f"2 of 3 leaves (9 values) come from the final state of claim {'1' * 16}…; all others from the run's own key",
    ),
]


@pytest.mark.parametrize(("provenance", "words"), CASES)
def test_each_beginning_has_words_of_its_own(provenance: Provenance, words: str) -> None:
    assert describe_provenance(provenance) == words


@pytest.mark.parametrize(
    ("mode", "words"),
    [(None, "accepted"), (Mode.BITS, "accepted, bit for bit"), (Mode.TOLERANCE, "accepted within a tolerance")],
)
def test_an_earlier_proof_says_how_it_was_accepted_and_what_was_replayed(mode: Mode | None, words: str) -> None:
    known = (CLAIM, Verdict.ACCEPTED, (), "digits", AllSegments())
    covered = Coverage("segment", 2, (0, 1), 12, 12, 0.05, 1.0)
    told = describe_ancestor(Ancestor(*known, covered, None, Origin.TRUSTED, mode))
    assert told.startswith(f"earlier proof of digits, claim {'1' * 16}…: {words}; replayed 2 of 2 segments")
    alone = describe_ancestor(Ancestor(*known, None, None, Origin.TRUSTED, mode))
    assert alone == f"earlier proof of digits, claim {'1' * 16}…: {words}"


def test_the_task_of_an_earlier_proof_is_safe_to_show() -> None:
    known = (CLAIM, Verdict.REJECTED, ())
    hostile = Ancestor(*known, HOSTILE, AllSegments(), None, None, Origin.TRUSTED)
    assert describe_ancestor(hostile).isprintable()
    nameless = Ancestor(*known, None, AllSegments(), None, None, Origin.TRUSTED)
    assert describe_ancestor(nameless) == f"earlier proof, claim {'1' * 16}…: rejected"


def test_a_test_of_random_leaves_names_its_smallest_p_value() -> None:
    found = describe_test(KolmogorovSmirnov(3, 0.01234, "/w"))
    assert found == "Kolmogorov-Smirnov test of the random leaves (3): smallest corrected p-value 0.012"
