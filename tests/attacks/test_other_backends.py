"""Attacks by a prover whose backend is another one, or is said to be: bits that differ reject nothing there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from forge import Forger, undecided

from pol_jax.program.machine import current_environment
from pol_jax.reports.report import Report

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's machine is another than the prover's."""
    environment = msgspec.structs.replace(current_environment(), device_kind="abacus")
    monkeypatch.setattr("pol_jax.verifying.verifier.current_environment", lambda: environment)


@pytest.mark.usefixtures("elsewhere")
def test_same_bits_elsewhere_are_accepted(plain_proof: Path, verify_plain: Verify) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert report.environment.device_kind == "abacus"


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("step", [3, 9])
def test_other_bits_elsewhere_are_inconclusive(forger: Forger, verify_plain: Verify, step: int) -> None:
    forger.change(step, state=ODD)
    forger.write()
    report = verify_plain(forger.root)
    undecided(report, "not the prover's backend", "device_kind", "abacus")
    undecided(report, f"is reproduced bit for bit, but the state after step {step} is not")
    assert any(f"step {step} differs from the ledger" in reason for reason in report.reasons)


def test_claimed_environment_elsewhere(proof_copy: Path, verify_plain: Verify) -> None:
    """A prover who claims another machine gains no acceptance, only an inconclusive verdict."""
    forger = Forger(proof_copy)
    forger.change(9, state=ODD)
    forger.write(environment=msgspec.structs.replace(forger.claim.environment, jaxlib="0.0.1"))
    undecided(verify_plain(proof_copy), "not the prover's backend", "jaxlib: 0.0.1 against")
