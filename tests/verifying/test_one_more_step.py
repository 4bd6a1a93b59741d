"""One more step from a committed state stays as near to this machine's own as rounding is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from made_steps import INCONCLUSIVE, PASSED, made, spec_of

from pol_jax.program.signature import Signature
from pol_jax.protocol.trees import HostLeaves
from pol_jax.reports.outcomes import Outcome
from pol_jax.training.inputs import StepInput
from pol_jax.verifying.compilations import DEFAULT, Compilation, Compilations
from pol_jax.verifying.one_more_step import stays_near


@pytest.mark.parametrize(("effect", "outcome"), [(1e-3, PASSED), (0.0, INCONCLUSIVE)])
def test_one_more_step_knows_what_a_last_place_does(effect: float, outcome: Outcome) -> None:
    """A group of few elements shows too little noise; another library's rounding is no divergence."""
    spec = spec_of("float32", size=4)
    own, after = [np.full(4, 0.5, np.float32)], [np.full(4, 0.5 + 2**-24, np.float32)]
    later = np.full(4, 0.75, np.float32)

    class Later(Compilations):
        def next_states(
            self, results: Sequence[HostLeaves], others: Sequence[HostLeaves], inputs: Iterable[StepInput]
        ) -> tuple[Sequence[HostLeaves], Sequence[HostLeaves]]:
            moved = [[later + (start[0] - own[0]) + np.float32(effect)] for start in others[1:]]
            return [[later] for _ in results], [[later + np.float32(1e-5)], *moved]

    reference = Compilation(DEFAULT, Signature(spec, (), 1, "threefry2x32", ("loss",)), lambda *_: ((), ()))
    found = made(dtypes=("float32",)).compared()
    assert found.outcome is PASSED
    assert stays_near(found, Later(spec, reference, ()), after, [own] * 3, []).outcome is outcome
