"""What comes before the reasons for a verdict: each thing that nobody has shown has one line, and nothing else has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from example_reports import HOSTILE, unfinished

from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.policies import AllSegments
from pol_jax.reports.dependence import NOMINAL, Dependence
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Mode, Verdict
from pol_jax.reports.provenance import Ancestor, Beginning, Origin, Provenance
from pol_jax.reports.states import NonFinite
from pol_jax.reports.wording.notices import notices

OWN = Provenance(Beginning.OWN_KEY, None, None, (), 0, 2)
EARLIER = Provenance(Beginning.EARLIER_PROOF, "1" * 64, "3" * 64, ("/w",), 6, 2)
WEIGHTS = Provenance(Beginning.UNPROVEN_WEIGHTS, None, "3" * 64, ("/w",), 6, 2)
PARENT = Ancestor(
    "1" * 64, Verdict.ACCEPTED, (), None, AllSegments(), None, OWN, Origin.TRUSTED, Mode.BITS, may_stop_early=False
)
GIVEN = Intervention(3, ("/a", "/b", "/c", "/d", "/e"), "0" * 64, "better\n")
RUN = f"the run of claim {'1' * 16}…"


def lines(**facts: Any) -> tuple[str, ...]:
    """The notices of an accepted report about which there is nothing to say, but for these facts."""
    known = {"verdict": Verdict.ACCEPTED, "program_origin": Origin.TRUSTED, "may_stop_early": False, "provenance": OWN}
    return notices(unfinished(**(known | facts)))


def parent(**changes: Any) -> dict[str, Any]:
    """The facts of a run that comes from another one, which has these changes."""
    return {"provenance": EARLIER, "ancestors": (msgspec.structs.replace(PARENT, **changes),)}


DRIFT = Drift(2.0, 2.0, None, None, 0.5, None, 4, 0)
SHARES = "0.5 (25% of the distance from the initial to the final state)"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "not finite": (
        {"non_finite": (NonFinite("/w", 2, 3), NonFinite("", 1, 1))},
        "warning: the final state is not finite: 3 values are NaN or infinite (/w: 2 of 3, /: 1 of 1)",
    ),
    "an intervention": (
        {"interventions": (GIVEN,)},
        "after step 3 the state was changed from outside the program (/a, /b, /c, /d and 1 more), and nothing shows "
        "where the new values come from; the prover's reason: better\\n",
    ),
    "an intervention in an earlier run": (
        parent(interventions=(GIVEN,)),
        f"after step 3 of {RUN} the state was changed from outside the program (/a, /b, /c, /d and 1 more), and "
        "nothing shows where the new values come from; the prover's reason: better\\n",
    ),
    "a tolerance in an earlier run": (
        parent(mode=Mode.TOLERANCE, drift=DRIFT),
        f"the initial state comes from {RUN}, which was accepted within a tolerance: errors that it allows could add up"
        f" to {SHARES}",
    ),
    "a tolerance without a bound": (
        parent(mode=Mode.TOLERANCE),
        f"the initial state comes from {RUN}, which was accepted within a tolerance: errors that it allows could add up"
        " to any distance",
    ),
    "a tolerance of its own parent's": (
        parent(mode=Mode.TOLERANCE, drift=msgspec.structs.replace(DRIFT, tolerated=0.0)),
        f"the initial state comes from {RUN}, which was accepted within a tolerance: errors that it allows could add up"
        " to no more than those before it",
    ),
    "weights": (
        {"provenance": WEIGHTS},
        f"training starts from weights of unproven origin: /w; 6 values with the digest {'3' * 64}",
    ),
    "weights of an earlier run": (
        parent(provenance=WEIGHTS),
        f"{RUN} starts from weights of unproven origin: /w; 6 values with the digest {'3' * 64}",
    ),
    "a proof that is missing": (
        {"provenance": EARLIER},
        f"training starts from the run with the claim {'1' * 64}, which was not verified here",
    ),
    "a program": ({"program_origin": Origin.NOT_COMPARED}, "program: not compared with any source"),
    "the program of an earlier run": (
        parent(program_origin=Origin.NOT_COMPARED),
        f"program of {RUN}, which the initial state comes from: not compared with any source",
    ),
    "an update that the records hardly change": (
        {"dependence": Dependence(3, NOMINAL / 2, "/w", NOMINAL, "/w")},
        "warning: the update of leaf /w hardly depends on the records: a batch with its numbers in other places "
        "changes it by 0.05% (step 3)",
    ),
    "leaves that matter": (
        {"leaves": ("/a", "/b", "/c", "/d", "/e")},
        "only /a, /b, /c, /d ... matter to the verifier: what tolerances add up to in other leaves is not bounded",
    ),
    "a chosen end": (
        {"may_stop_early": True},
        "the prover chose where the run ends: the commitment has a largest number of steps only, or none",
    ),
    "the chosen end of an earlier run": (
        parent(may_stop_early=True),
        f"the prover chose where {RUN} ends, which the initial state comes from",
    ),
}


def test_nothing_is_said_where_all_is_shown() -> None:
    assert lines() == lines(**parent()) == ()
    assert lines(dependence=Dependence(3, None, None, None, None)) == ()


@pytest.mark.parametrize("case", CASES)
def test_each_thing_that_nobody_has_shown_has_one_line(case: str) -> None:
    facts, line = CASES[case]
    assert lines(**facts) == (line,)


def test_programs_and_ends_of_what_is_not_accepted_are_not_told() -> None:
    facts: dict[str, Any] = {"program_origin": Origin.NOT_COMPARED, "may_stop_early": True}
    assert lines(verdict=Verdict.REJECTED, **facts, **parent(**facts)) == ()


def test_a_program_that_was_compared_with_nothing_is_told_once() -> None:
    """One that differs from a trusted one is told of each run."""
    unknown = {"program_origin": Origin.NOT_COMPARED}
    assert lines(**unknown, **parent(**unknown)) == ("program: not compared with any source",)
    (other,) = lines(program_origin=Origin.DIFFERS, **parent(program_origin=Origin.DIFFERS))
    assert other.endswith("differs from the trusted source")


def test_notices_hold_no_more_than_words_of_the_prover() -> None:
    leaf, given = NonFinite(HOSTILE, 1, 1), Intervention(3, (HOSTILE,), "0" * 64, HOSTILE)
    facts = {"non_finite": (leaf,), "interventions": (given,), "leaves": (HOSTILE,)}
    assert len(lines(**facts)) == 3
    assert all(line.isprintable() for line in lines(**facts))
