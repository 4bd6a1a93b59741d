"""Figures of the reproduction error are drawn where there is an error to draw."""

from __future__ import annotations

from pathlib import Path

from measured_backends import outcome, shown
from msgspec.structs import replace

from pol_jax.backends.results import Error, Results
from pol_jax.backends.table import table


def test_a_figure_of_steps_growth_and_leaves_is_written(results: Results, elsewhere: Results, tmp_path: Path) -> None:
    from pol_jax.backends.plots import write_plots  # takes half a second to import

    names = {path.name for path in write_plots((results, elsewhere), tmp_path)}
    assert names == {f"{name}.{ending}" for name in ("steps", "growth", "leaves") for ending in ("svg", "png")}
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    equal = replace(results, outcomes=(outcome(results, "cpu"),))
    assert write_plots((equal,), tmp_path) == []


def test_errors_without_a_number_are_shown_too(results: Results, tmp_path: Path) -> None:
    """A training that overflows: NaN has no distance."""
    from pol_jax.backends.plots import write_plots  # takes half a second to import

    nothing = Error(None, False, None, None, None, None, None, None, None)
    ran = outcome(results, "cpu, no optimisation")
    lost = replace(
        ran, reproductions=tuple(replace(each, exact=False, total=nothing, leaves=()) for each in ran.reproductions)
    )
    parts = (replace(results, outcomes=(lost,)),)
    assert "no number" in shown(parts, 1.0)
    assert table(parts, 1.0).column("l2_relative").null_count == 8
    write_plots(parts, tmp_path)
