"""Attacks by a prover whose backend is another one, or is said to be: bits that differ reject nothing there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from forge import Forger, refused, undecided

from pol_jax.program.machine import current_environment
from pol_jax.protocol.claim import EnvironmentFrom
from pol_jax.reports.outcomes import Mode
from pol_jax.reports.report import Report

Verify = Callable[..., Report]


ODD = b"\x07" * 32
"""A digest of nothing."""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's machine is another than the prover's."""
    environment = msgspec.structs.replace(current_environment(), device_kind="abacus")
    monkeypatch.setattr("pol_jax.verifying.interruption.current_environment", lambda: environment)


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


def of_two(forger: Forger, own_first: bool) -> tuple[EnvironmentFrom, EnvironmentFrom]:
    """A claim that the run moved after step 12, from this machine to one that nobody has, or the other way round."""
    own = forger.claim.environment
    foreign = msgspec.structs.replace(own, jaxlib="0.0.1")
    first, second = (own, foreign) if own_first else (foreign, own)
    return EnvironmentFrom(0, first), EnvironmentFrom(12, second)


@pytest.mark.parametrize("own_first", [True, False])
def test_a_false_step_is_judged_by_the_environment_that_the_claim_names_for_it(
    own_first: bool, forger: Forger, verify_plain: Verify
) -> None:
    """Another machine is named for other steps, which lets no step of this machine be judged within a tolerance."""
    step = 9 if own_first else 15
    forger.change(step, state=ODD)
    forger.write(environments=of_two(forger, own_first))
    refused(verify_plain(forger.root), 9, f"the replay of step {step} differs from the ledger (state_digest)")


@pytest.mark.parametrize("own_first", [True, False])
def test_a_step_that_differs_elsewhere_excuses_none_of_this_machine(
    own_first: bool, forger: Forger, verify_plain: Verify
) -> None:
    """Both differ; the one that this very machine is said to have made is false, whichever comes first."""
    for step in (9, 15):
        forger.change(step, state=ODD)
    forger.write(environments=of_two(forger, own_first))
    refused(verify_plain(forger.root), 9, f"the replay of step {9 if own_first else 15} differs from the ledger")


def test_a_self_test_that_differs_elsewhere_excuses_no_step_of_this_machine(
    forger: Forger, verify_plain: Verify
) -> None:
    """Another machine is named for the first steps, which differ; the rest is of this one, and one step is false."""
    for step in (3, 21):
        forger.change(step, state=ODD)
    forger.write(environments=of_two(forger, own_first=False))
    report = verify_plain(forger.root)
    refused(report, 9, "the replay of step 21 differs from the ledger (state_digest)")
    assert {each.segment for each in report.replays} == {2, 3}


@pytest.mark.parametrize("own_first", [True, False])
def test_a_false_step_of_another_machine_is_not_judged_by_bits(
    own_first: bool, forger: Forger, verify_plain: Verify
) -> None:
    forger.change(15 if own_first else 9, state=ODD)
    forger.write(environments=of_two(forger, own_first))
    undecided(verify_plain(forger.root), "not the prover's backend", "jaxlib: 0.0.1 against")


def test_true_steps_are_accepted_wherever_they_are_said_to_be_made(forger: Forger, verify_plain: Verify) -> None:
    forger.write(environments=of_two(forger, own_first=True))
    report = verify_plain(forger.root)
    assert report
    assert report.mode is Mode.BITS
