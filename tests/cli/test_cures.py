"""What could make a report conclusive is said where it is true, and not where the verifier has asked for it already."""

from __future__ import annotations

import msgspec
import pytest
from example_reports import opening, unfinished

from pol_jax.cli.cures import cures, load_named
from pol_jax.errors import UsageError
from pol_jax.reports.drift import Drift
from pol_jax.reports.outcomes import Verdict


def test_more_steps_tell_more_of_what_tolerances_add_up_to() -> None:
    within = Drift(5.0, None, None, None, 0.002, None, 3, 0, share=0.05, leaf="/optimizer/trace")
    told = opening(unfinished(verdict=Verdict.INCONCLUSIVE))
    for drift, expected in ((within, False), (msgspec.structs.replace(within, share=0.16), True)):
        lines = cures(msgspec.structs.replace(told, drift=drift))
        assert any("challenge more steps" in line for line in lines) is expected, lines


def test_a_data_set_without_a_directory_names_the_option() -> None:
    """The task says which argument it lacks; only the command line knows how it is called there."""
    with pytest.raises(UsageError, match=r"given as data_dir; .* \(--data-dir\)$"):
        load_named("cifar10", None)
