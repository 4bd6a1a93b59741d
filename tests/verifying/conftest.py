"""Prepared steps of tiny tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from prepared_steps import Prepared

from pol_jax.program.artifact import INIT_FILE, STEP_FILE, Artifacts, load_program
from pol_jax.program.signature import Signature
from pol_jax.progress import Silent
from pol_jax.proving.choices import Choices
from pol_jax.proving.commit import write_commitment
from pol_jax.training.inputs import step_inputs
from pol_jax.verifying.compilations import compile_variants


@pytest.fixture(scope="session", params=["plain", "linen", "nested"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    task, root = getattr(tiny, request.param)(), Path(tmp_path_factory.mktemp("program"))
    commitment, _ = write_commitment(root, task, Choices(seed="tolerance"), Silent())
    artifacts = Artifacts((root / INIT_FILE).read_bytes(), (root / STEP_FILE).read_bytes())
    program = load_program(artifacts, Signature.from_commitment(commitment))
    inputs, made = list(step_inputs(commitment, task.source, 1, 10)), compile_variants(program)
    states = [[np.asarray(leaf) for leaf in program.init(inputs[0].key)]]
    for each in inputs:
        states.append(made.reference.run(states[-1], [each]))
    return Prepared(program, made, inputs, states)
