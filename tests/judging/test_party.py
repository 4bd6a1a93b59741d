"""What is known of a party to a dispute: whose it is, what it comes from, and when it was there."""

from __future__ import annotations

import msgspec
import pytest
from made_parties import GIVEN, L, party, window

from pol_jax.judging.party import Party
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Beginning, Origin


def test_a_prover_without_their_signature_is_named_and_not_shown() -> None:
    assert party("a").is_signed
    unsigned, anonymous = party("a", prover=L, signed=False), party("a", prover=None, signed=False)
    assert (unsigned.prover, unsigned.is_signed) == (L, False)
    assert (anonymous.prover, anonymous.is_signed) == (None, False)


@pytest.mark.parametrize("origin", [Origin.NOT_COMPARED, Origin.DIFFERS])
def test_programs_are_compared_back_to_the_first_run(origin: Origin) -> None:
    assert party("a", parent="b").is_compared
    assert not party("a", parent="b", origin=origin).is_compared
    assert not with_ancestor(party("a", parent="b"), program_origin=origin).is_compared


def test_the_origin_is_shown_where_accepted_proofs_lead_back_to_a_key() -> None:
    assert party("a").origin_is_shown
    child = party("a", parent="b")
    assert child.origin_is_shown
    assert not party("a", beginning=Beginning.UNPROVEN_WEIGHTS).origin_is_shown
    assert not party("a", interventions=GIVEN).origin_is_shown
    assert not with_ancestor(child, verdict=Verdict.INCONCLUSIVE).origin_is_shown
    assert not with_ancestor(child, claim="c").origin_is_shown
    assert not with_ancestor(child, interventions=GIVEN).origin_is_shown
    assert not with_ancestor(child, provenance=None).origin_is_shown


def test_a_name_says_nothing_else() -> None:
    assert str(party("b\u202e\x1b[2J stands")).isprintable()


def test_a_model_fits_if_it_is_at_most_cast() -> None:
    fits = [party("a", difference=each).fits for each in (None, "equal", "cast", "different")]
    assert fits == [None, True, True, False]


def test_descent_is_from_a_claim_or_from_its_commitment_by_accepted_proofs() -> None:
    child = party("a", parent="b")
    assert child.descends_from(party("b"))
    assert child.descends_from(party("edited", commitment="commitment of b"))
    assert not child.descends_from(party("c"))
    assert not with_ancestor(child, verdict=Verdict.REJECTED).descends_from(party("b"))
    assert not party("b").descends_from(child)


def test_one_run_has_one_claim_or_one_commitment() -> None:
    assert party("a").is_of_the_run_of(party("b", claim="a"))
    assert party("a").is_of_the_run_of(party("b", commitment="commitment of a"))
    assert not party("a").is_of_the_run_of(party("b"))


def test_a_party_was_before_another_one_by_a_beacon_alone() -> None:
    early, late = party("a", period=window(0, 1)), party("b", period=window(2, 3))
    assert early.was_before(late)
    assert not late.was_before(early)
    assert not early.was_before(party("b", period=window(1, 3)))
    assert not early.was_before(party("b", period=window(2, 3, "timestamp of the commitment")))
    assert not party("a", period=window(0, None)).was_before(late)
    assert not party("a", period=window(None, None)).was_before(party("b", period=window(None, None)))


def test_an_independent_party_ends_in_other_parameters_of_its_own() -> None:
    other = party("b", prover=L)
    assert party("a").is_independent_of(other)
    for same in (
        party("a", final="b"),
        party("a", prover=L),
        party("a", prover=None, signed=False),
        party("a", verdict=Verdict.INCONCLUSIVE),
        party("a", origin=Origin.NOT_COMPARED),
        party("a", beginning=Beginning.UNPROVEN_WEIGHTS),
    ):
        assert not same.is_independent_of(other)


def with_ancestor(child: Party, **changes: object) -> Party:
    """A party whose one ancestor is another one."""
    (ancestor,) = child.report.ancestors
    ancestors = (msgspec.structs.replace(ancestor, **changes),)
    return Party(child.name, msgspec.structs.replace(child.report, ancestors=ancestors), child.begins_in_other)
