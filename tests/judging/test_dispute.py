"""The rules of disputes over made-up reports: every rule, and both orders of the parties."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from made_parties import GIVEN, K, L, party, window

from pol_jax.judging.dispute import Resolution, Standing, resolve
from pol_jax.judging.party import Party
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.provenance import Beginning, Origin


def decided(one: Party, other: Party) -> Resolution:
    """The resolution; the other order gives the same but for the place of the winner."""
    found, swapped = resolve(one, other), resolve(other, one)
    exchanged = {Standing.FIRST: Standing.SECOND, Standing.SECOND: Standing.FIRST}
    assert swapped.standing is exchanged.get(found.standing, found.standing)
    assert all(reason.isprintable() for reason in found.reasons)
    return found


A = party("a")
CASES: dict[str, tuple[Party, Party, Standing]] = {
    "one is rejected": (A, party("b", verdict=Verdict.REJECTED, period=window(-9, -8)), Standing.FIRST),
    "both are rejected": (
        party("a", verdict=Verdict.REJECTED),
        party("b", verdict=Verdict.REJECTED),
        Standing.NEITHER,
    ),
    "one is inconclusive": (A, party("b", verdict=Verdict.INCONCLUSIVE), Standing.UNDECIDED),
    "a rejected and an inconclusive one": (
        party("a", verdict=Verdict.REJECTED),
        party("b", verdict=Verdict.INCONCLUSIVE),
        Standing.UNDECIDED,
    ),
    "copies": (A, party("b", claim="a"), Standing.BOTH),
    "an unsigned copy": (A, party("b", claim="a", signed=False), Standing.FIRST),
    "an unsigned copy whose claim was edited": (
        party("a", final="m"),
        party("b", commitment="commitment of a", signed=False, final="m"),
        Standing.FIRST,
    ),
    "an inconclusive copy": (A, party("b", verdict=Verdict.INCONCLUSIVE, claim="a"), Standing.FIRST),
    "inconclusive copies": (
        party("a", verdict=Verdict.INCONCLUSIVE),
        party("b", verdict=Verdict.INCONCLUSIVE, claim="a"),
        Standing.UNDECIDED,
    ),
    "an inconclusive one, and the other's model": (
        party("a", difference="equal"),
        party("b", prover=L, verdict=Verdict.INCONCLUSIVE),
        Standing.FIRST,
    ),
    "an inconclusive one that may end in the same": (
        party("a", difference="equal", final="m"),
        party("b", prover=L, verdict=Verdict.INCONCLUSIVE, final="m"),
        Standing.UNDECIDED,
    ),
    "an inconclusive one, and a model of unproven origin": (
        party("a", difference="equal", beginning=Beginning.UNPROVEN_WEIGHTS),
        party("b", prover=L, verdict=Verdict.INCONCLUSIVE),
        Standing.UNDECIDED,
    ),
    "an inconclusive one, and a model of a program that was compared with nothing": (
        party("a", difference="equal", origin=Origin.NOT_COMPARED),
        party("b", prover=L, verdict=Verdict.INCONCLUSIVE),
        Standing.UNDECIDED,
    ),
    "weights given in the midst of a run": (
        party("a", difference="different"),
        party("b", prover=L, interventions=GIVEN, difference="equal"),
        Standing.UNDECIDED,
    ),
    "copies of an anonymous proof": (
        party("a", prover=None, signed=False),
        party("b", claim="a", prover=None, signed=False),
        Standing.UNDECIDED,
    ),
    "one prover": (A, party("b"), Standing.BOTH),
    "the prover's name without their signature": (
        party("a", final="m"),
        party("b", signed=False, final="m"),
        Standing.UNDECIDED,
    ),
    "descent": (A, party("b", prover=L, parent="a", difference="equal"), Standing.FIRST),
    "descent from a copy whose claim was edited": (
        party("a", commitment="commitment of copy"),
        party("b", prover=L, parent="copy", difference="equal"),
        Standing.FIRST,
    ),
    "stolen weights": (
        A,
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True),
        Standing.FIRST,
    ),
    "weights that a run was given, and may have been made to end in": (
        party("a", beginning=Beginning.UNPROVEN_WEIGHTS),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True),
        Standing.UNDECIDED,
    ),
    "weights that an intervention may have put there": (
        party("a", interventions=GIVEN),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True),
        Standing.UNDECIDED,
    ),
    "weights that a run was given, which was there first": (
        party("a", beginning=Beginning.UNPROVEN_WEIGHTS, period=window(0, 1)),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True, period=window(2, 3)),
        Standing.FIRST,
    ),
    "two runs that both change nothing of the same weights": (
        party("a", beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True, final="m", difference="equal"),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True, final="m", difference="equal"),
        Standing.UNDECIDED,
    ),
    "the weights of a program that was compared with nothing": (
        party("a", origin=Origin.NOT_COMPARED),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True),
        Standing.UNDECIDED,
    ),
    "unproven origin": (A, party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS), Standing.UNDECIDED),
    "unproven origin, and its own model": (
        party("a", difference="different"),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, difference="equal"),
        Standing.UNDECIDED,
    ),
    "unproven origin, and the other's model": (
        party("a", difference="cast"),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS, difference="different"),
        Standing.FIRST,
    ),
    "two of unproven origin": (
        party("a", beginning=Beginning.UNPROVEN_WEIGHTS),
        party("b", prover=L, beginning=Beginning.UNPROVEN_WEIGHTS),
        Standing.UNDECIDED,
    ),
    "the model of one": (
        party("a", difference="equal"),
        party("b", prover=L, difference="different"),
        Standing.FIRST,
    ),
    "the model of neither": (
        party("a", difference="different"),
        party("b", prover=L, difference="different"),
        Standing.NEITHER,
    ),
    "the model of an anonymous one": (
        party("a", prover=None, signed=False, difference="equal"),
        party("b", prover=L, difference="different"),
        Standing.UNDECIDED,
    ),
    "one model": (party("a", final="m"), party("b", prover=L, final="m"), Standing.UNDECIDED),
    "one model, one of them earlier": (
        party("a", final="m", period=window(0, 1)),
        party("b", prover=L, final="m", period=window(2, 3)),
        Standing.FIRST,
    ),
    "one model, earlier by the prover's word alone": (
        party("a", final="m", period=window(0, 1)),
        party("b", prover=L, final="m", period=window(2, 3, "timestamp of the commitment")),
        Standing.UNDECIDED,
    ),
    "one model, the earlier one anonymous": (
        party("a", prover=None, signed=False, final="m", period=window(0, 1)),
        party("b", prover=L, final="m", period=window(2, 3)),
        Standing.UNDECIDED,
    ),
    "two trainings": (A, party("b", prover=L), Standing.BOTH),
    "an earlier anonymous training": (
        party("a", period=window(2, 3)),
        party("b", prover=None, signed=False, period=window(0, 1)),
        Standing.FIRST,
    ),
    "two anonymous trainings": (
        party("a", prover=None, signed=False),
        party("b", prover=None, signed=False),
        Standing.UNDECIDED,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_case_of_a_dispute_is_decided_by_its_rule(name: str) -> None:
    one, other, standing = CASES[name]
    found = decided(one, other)
    assert found.standing is standing, found.reasons


@pytest.mark.parametrize("origin", [Origin.NOT_COMPARED, Origin.DIFFERS])
def test_a_program_that_was_compared_with_nothing_wins_nothing(origin: Origin) -> None:
    thief: dict[str, Any] = {"prover": L, "origin": origin, "period": window(-9, -8)}
    taken = decided(party("a", final="m", period=window(0, 1)), party("b", final="m", **thief))
    assert taken.standing is Standing.FIRST
    fitting = decided(party("a", difference="different"), party("b", difference="equal", **thief))
    assert fitting.standing is Standing.UNDECIDED
    begun = party("a", beginning=Beginning.UNPROVEN_WEIGHTS, begins_in_other=True)
    assert decided(begun, party("b", **thief)).standing is Standing.UNDECIDED


def test_what_would_decide_is_said() -> None:
    """An inconclusive party without a model at hand: it may be true too, so nobody stands; a model would decide."""
    inconclusive = party("b", prover=L, verdict=Verdict.INCONCLUSIVE)
    assert "a model at hand that is the final one of a would decide" in decided(A, inconclusive).reasons[1]
    for other in (party("a", final="b"), party("a", origin=Origin.NOT_COMPARED), party("a", prover=L)):
        assert not any("would decide" in reason for reason in decided(other, inconclusive).reasons)


def test_a_missing_signature_is_said() -> None:
    found = decided(A, party("b", prover=L, signed=False))
    assert found.reasons[-1] == f"b names {L}, whose signature over the claim is missing"


def test_weights_given_to_an_earlier_run_are_of_unproven_origin() -> None:
    thief = party("b", prover=L, parent="c", difference="equal")
    given = msgspec.structs.replace(thief.report.ancestors[0], interventions=GIVEN)
    thief = Party("b", msgspec.structs.replace(thief.report, ancestors=(given,)))
    assert decided(party("a", difference="different"), thief).standing is Standing.UNDECIDED


def test_every_pair_has_a_resolution_that_does_not_depend_on_the_order() -> None:
    options: dict[str, list[Any]] = {
        "verdict": list(Verdict),
        "prover": [K, L, None],
        "signed": [True, False],
        "origin": [Origin.TRUSTED, Origin.NOT_COMPARED],
        "beginning": [Beginning.OWN_KEY, Beginning.UNPROVEN_WEIGHTS],
        "difference": ["equal", "different"],
        "final": ["m", None],
    }
    others = [party("b", **dict(zip(options, values, strict=True))) for values in product(*options.values())]
    for one in (A, party("a", prover=None, signed=False, final="m", difference="equal")):
        for other in others:
            found = decided(one, other)
            if found.standing is Standing.SECOND:
                assert other.report.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("origin", [Origin.NOT_COMPARED, Origin.DIFFERS])
def test_the_program_of_an_earlier_run_may_be_written_to_end_in_given_weights_too(origin: Origin) -> None:
    thief = party("b", prover=L, parent="c", difference="equal")
    made_up = msgspec.structs.replace(thief.report.ancestors[0], program_origin=origin)
    thief = Party("b", msgspec.structs.replace(thief.report, ancestors=(made_up,)))
    assert decided(party("a", difference="different"), thief).standing is Standing.UNDECIDED


def test_names_of_parties_say_nothing_else() -> None:
    found = decided(A, party("b\u202e\x1b[2J stands", verdict=Verdict.REJECTED))
    assert "\x1b" not in " ".join(found.reasons)
