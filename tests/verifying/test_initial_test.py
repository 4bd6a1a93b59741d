"""The statistical test compares an initial state with another draw, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import law

from pol_jax.program.artifact import Program
from pol_jax.program.signature import Signature
from pol_jax.protocol.commitment import Commitment, ProgramCommitment
from pol_jax.protocol.initial import UnprovenWeights
from pol_jax.reports.html import render
from pol_jax.reports.report import Report
from pol_jax.reports.states import KolmogorovSmirnov
from pol_jax.storage.checkpoints import load_checkpoint
from pol_jax.storage.proof import open_proof
from pol_jax.training.initial_state import first_key
from pol_jax.training.pytrees import state_spec
from pol_jax.verifying.initial_test import ks_test, two_sample_p_value

SIZE = 256


Verify = Callable[..., Report]


@pytest.fixture(scope="module")
def layered(plain_proof: Path) -> tuple[Program, Commitment]:
    """The ``init`` of 21 random layers, and one that is constant; and a commitment, whatever jax there is."""

    def init(key: jax.Array) -> tuple[jax.Array, ...]:
        keys = jax.random.split(jax.random.wrap_key_data(key), 21)
        return (jnp.zeros(SIZE), *(jax.random.normal(key, (SIZE,)) for key in keys))

    commitment = open_proof(plain_proof).commitment
    state = state_spec({f"{at:02}": jnp.zeros(SIZE) for at in range(22)})
    program = ProgramCommitment("00" * 32, "11" * 32, ("loss",), "loss")
    commitment = msgspec.structs.replace(commitment, state=state, program=program)
    return Program(
        Signature.from_commitment(commitment),
        jax.jit(init),
        lambda *_: pytest.fail("stepped"),
        0,
        0,
        lambda _: pytest.fail("observed"),
        lambda _: pytest.fail("divided"),
    ), commitment


def measured(program: Program, commitment: Commitment, state: list[np.ndarray]) -> KolmogorovSmirnov:
    found = ks_test(program, commitment, state)
    assert found is not None
    return found


def test_honest_initial_states_pass_the_corrected_test(layered: tuple[Program, Commitment]) -> None:
    """Without a correction for the number of layers, the paper's test rejects many of them."""
    program, commitment = layered
    found = []
    for seed in range(30):
        seeded = msgspec.structs.replace(commitment, nonce=str(seed))
        state = [np.asarray(leaf) for leaf in program.init(first_key(seeded))]
        found.append(measured(program, seeded, state))
    assert {each.leaves for each in found} == {21}
    assert sum(each.smallest_p < 0.01 for each in found) <= 1
    assert sum(each.smallest_p / 21 < 0.01 for each in found) >= 3


def test_what_was_not_drawn_fails_the_test(layered: tuple[Program, Commitment]) -> None:
    program, commitment = layered
    state = [np.asarray(leaf) for leaf in program.init(first_key(commitment))]
    honest = measured(program, commitment, state)
    assert honest.smallest_p > 0.01
    for odd in (3 * state[5], np.full(SIZE, np.nan, np.float32), np.linspace(0, 1, SIZE, dtype=np.float32)):
        found = measured(program, commitment, [odd if at == 5 else leaf for at, leaf in enumerate(state)])
        assert found.smallest_p < 0.01
        assert found.path == "/05"
    constant = measured(program, commitment, [np.ones(SIZE, np.float32), *state[1:]])
    assert constant == honest  # not drawn at random: another check's affair
    taken = msgspec.structs.replace(commitment, initial=UnprovenWeights(("/05",), "00" * 32))
    assert measured(program, taken, state).leaves == 20


@law(60)
@given(st.integers(2, 300), st.floats(0.0, 2.0), st.integers(0, 1000), st.booleans())
def test_p_values_are_those_of_scipy(size: int, shift: float, seed: int, ties: bool) -> None:
    from scipy.stats import ks_2samp  # takes a second to import

    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=size), shift + draw.normal(size=size)
    if ties:
        a, b = a.round(1), b.round(1)
    assert two_sample_p_value(a, b) == pytest.approx(ks_2samp(a, b, method="exact").pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02])
def test_p_values_of_large_samples_are_near_the_asymptotic_ones(shift: float) -> None:
    from scipy.stats import ks_2samp  # takes a second to import

    draw = np.random.default_rng(5)
    a, b = draw.normal(size=2**16), shift + draw.normal(size=2**16)
    assert two_sample_p_value(a, b) == pytest.approx(ks_2samp(a, b, method="asymp").pvalue, rel=0.02)


def test_the_test_decides_nothing(plain_proof: Path, verify_plain: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    report = verify_plain(plain_proof)
    assert report
    assert report.initial_test is not None
    assert (report.initial_test.leaves, report.initial_test.path) == (1, "/params/w")
    assert "Kolmogorov-Smirnov test of the random leaves (1): smallest corrected p-value" in report.stages[6].detail
    assert "Kolmogorov-Smirnov" in render(report)
    monkeypatch.setattr("pol_jax.verifying.initial_test._p_value", lambda *_: 0.0)
    odd = verify_plain(plain_proof)
    assert odd.initial_test is not None
    assert odd.initial_test.smallest_p == 0.0
    assert odd, odd.reasons


def test_trained_weights_look_trained(plain_proof: Path) -> None:
    """Of this task, 24 steps from its initial state are enough."""
    proof = open_proof(plain_proof)
    state = load_checkpoint(plain_proof, 24, proof.commitment.state)
    assert measured(proof.program(), proof.commitment, state).smallest_p < 0.01
