"""Objections keep a run that passed every stage from being accepted within a tolerance."""

from __future__ import annotations

from typing import Any

import example_reports
import pytest

from pol_jax.judging.objections import objection_to
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Mode
from pol_jax.reports.provenance import Origin

FAR = Drift(None, None, None, None, 1.0, None, 1, 0)


def objection(mode: Mode, *read: str, any_program: bool = False, **facts: Any) -> str | None:
    report = example_reports.unfinished(**{"program_origin": Origin.TRUSTED} | facts)
    return objection_to(report, mode, reads_bits_of=read, any_program=any_program)


@pytest.mark.parametrize(
    ("facts", "read", "expected"),
    [
        ({"exact": True}, (), "asked for equal bits only"),
        ({}, ("/w",), "reads the bits of leaf /w"),
        ({"program_origin": Origin.DIFFERS}, (), "is not that of the trusted source"),
        ({"program_origin": Origin.NOT_COMPARED}, (), "was not compared with any source"),
    ],
)
def test_what_equal_bits_allow_a_tolerance_may_not(facts: dict[str, Any], read: tuple[str, ...], expected: str) -> None:
    """Each objection is about what a tolerance leaves to the prover, so equal bits have none."""
    assert expected in str(objection(Mode.TOLERANCE, *read, **facts))
    assert objection(Mode.BITS, *read, **facts) is None


def test_a_trusted_program_that_reads_no_bits_is_accepted_within_a_tolerance() -> None:
    """The same holds for a program that the verifier takes unseen."""
    assert objection(Mode.TOLERANCE) is None
    assert objection(Mode.TOLERANCE, any_program=True, program_origin=Origin.DIFFERS) is None


def test_what_tolerances_add_up_to_is_an_objection_in_any_mode() -> None:
    """A run of equal bits may start from one that was accepted within a tolerance."""
    assert "tolerances may add up to anything" in str(objection(Mode.TOLERANCE, drift=FAR))
    assert "tolerances may add up to anything" in str(objection(Mode.BITS, drift=FAR))
