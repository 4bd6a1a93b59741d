"""Wherever a verifier computes a state, it asks whether all devices have the same one.

That states of a mesh are found to differ is tested in tests/proving/test_naming_devices.py, where devices are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from prepared_steps import Prepared

from pol_jax.errors import BackendError
from pol_jax.protocol.opening import Opening
from pol_jax.reports.outcomes import Verdict
from pol_jax.reports.report import Report
from pol_jax.verifying.compilations import DEFAULT, initial_state

PROBLEM = "the devices have no common state: leaf /momentum"


def let_differ(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let the devices differ in all that a module computes."""

    def differ(*_: Any) -> None:
        raise BackendError(PROBLEM)

    monkeypatch.setattr(f"pol_jax.verifying.{module}.check_copies", differ)


@pytest.mark.parametrize("module", ["replay", "row_comparison"])
def test_of_a_proof_in_its_initial_state_and_at_the_end_of_each_replay(
    module: str, plain_proof: Any, verify_plain: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    let_differ(monkeypatch, module)
    report = verify_plain(plain_proof)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert PROBLEM in report.reasons[0]


@pytest.mark.parametrize("module", ["opening_replay", "row_comparison"])
def test_of_an_opening_in_its_initial_state_and_after_each_step(
    module: str, opening: Opening, check_opening: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    let_differ(monkeypatch, module)
    report = check_opening(opening)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert PROBLEM in report.reasons[0]


def test_of_what_is_compared_as_numbers(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    let_differ(monkeypatch, "compilations")
    with pytest.raises(BackendError, match=PROBLEM):
        prepared.made.reference.run(prepared.states[0], prepared.inputs[:1])
    with pytest.raises(BackendError, match=PROBLEM):
        initial_state(prepared.program, np.zeros(2, np.uint32), DEFAULT)
