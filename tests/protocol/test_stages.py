"""Stages have the numbers, the order and the names of section 13."""

from __future__ import annotations

from pol_jax.protocol.stages import Stage


def test_stages_are_numbered_from_1_to_9_in_their_order() -> None:
    assert [stage.value for stage in Stage] == list(range(1, 10))
    assert Stage(1) is Stage.LIMITS_AND_NAMES
    assert Stage(9) is Stage.REPLAY


def test_a_stage_is_written_as_reports_write_it() -> None:
    assert Stage.KEYS_AND_ORDER.title == "keys and order"
    assert str(Stage.INITIAL_STATE) == "stage 7, initial state"
