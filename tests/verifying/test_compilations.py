"""A verifier tries the compilations that its compiler has."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from made_steps import INCONCLUSIVE
from prepared_steps import Prepared

from pol_jax.errors import BackendError
from pol_jax.progress import heartbeat
from pol_jax.verifying.calibration import judge_span
from pol_jax.verifying.compilations import DEFAULT, Variant, compile_step, compile_variants, variants


def test_there_are_enough_variants_and_they_change_bits(prepared: Prepared) -> None:
    assert len(prepared.made.others) >= 3
    assert prepared.made.refused == ()
    results = {
        b"".join(leaf.tobytes() for leaf in each.run(prepared.states[3], prepared.inputs[3:9]))
        for each in (prepared.made.reference, *prepared.made.others)
    }
    assert len(results) >= 2


def test_the_default_variant_gives_the_bits_of_the_program(prepared: Prepared) -> None:
    leaves, _ = prepared.program.step(
        tuple(jnp.array(leaf) for leaf in prepared.states[3]), prepared.inputs[3].batch, prepared.inputs[3].key
    )
    assert all(np.array_equal(a, b) for a, b in zip(leaves, prepared.states[4], strict=True))


def test_a_refused_variant_is_left_out_and_named(prepared: Prepared) -> None:
    odd = Variant("odd", {"xla_no_such_option": True})
    with pytest.raises(BackendError, match="xla_no_such_option"):
        compile_step(prepared.program, odd)
    made = compile_variants(prepared.program, [DEFAULT, odd])
    assert made.others == ()
    assert [line.startswith("odd: ") for line in made.refused] == [True]
    found = judge_span(made, prepared.states[0], prepared.states[1], prepared.inputs[:1])
    assert found.outcome is INCONCLUSIVE


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_every_platform_has_others_to_try(platform: str) -> None:
    listed = variants(platform)
    assert listed[0] is DEFAULT
    assert len({variant.name for variant in listed}) == len(listed) >= 3
    assert variants("unheard of") == (DEFAULT,)


def test_each_compilation_and_each_execution_is_a_sign_of_life(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large step, compiled in many ways, takes longer than a process may be silent."""
    monkeypatch.setattr("pol_jax.progress.SECONDS_BETWEEN", 0)
    beats = list[int]()
    made = compile_variants(prepared.program, [DEFAULT], alive=heartbeat(lambda: beats.append(1)))
    assert len(beats) == 1
    made.reference.run(prepared.states[0], prepared.inputs[:3])
    assert len(beats) == 4
    monkeypatch.setattr("pol_jax.progress.SECONDS_BETWEEN", 3600)
    made.reference.run(prepared.states[0], prepared.inputs[:3])
    assert len(beats) == 4
