"""A run whose state is changed from outside the program after its second step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny
from unsandboxed import verify

from pol_jax.protocol.policies import AllSegments
from pol_jax.proving.choices import Choices
from pol_jax.proving.recording import Recording
from pol_jax.reports.report import Report

AFTER, STEPS = 2, 8
REASON = "the rate was too high"
CHOICES = Choices(interval=4, seed="interventions")


def halved(state: Any) -> dict[str, np.ndarray]:
    return {"/params/b": np.asarray(state["params"]["b"]) / 2, "/params/w": np.asarray(state["params"]["w"]) / 2}


def train(root: Path, *, stop: int | None = None, change: Any = halved) -> None:
    """Train, with an intervention after step 2; killed at the end of step ``stop``."""
    with Recording(tiny.plain(), root, steps=STEPS, choices=CHOICES) as recording:
        state = recording.state
        for inputs in recording:
            if inputs.step == AFTER + 1 and change:
                state = recording.intervene(state, change(state), REASON)
            state, _ = recording.step(state, inputs)
            if inputs.step == stop:
                return


def verified(root: Path) -> Report:
    return verify(root, tiny.plain().source, policy=AllSegments(), nonce=tiny.NONCE)
