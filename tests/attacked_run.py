"""The run that attacks forge, and how far apart two trainings of its task are."""

from __future__ import annotations

from pathlib import Path

import attacked

from pol_jax import Choices, train
from pol_jax.attacks.attack import Setting
from pol_jax.attacks.paper_rule import PUBLISHED

D_REF, STEPS = 12.0, 50
"""The distance between two trainings of `attacked.sgd`, and the steps of this one: a little more than an epoch."""


def attacked_setting(folder: Path) -> Setting:
    """Train the victim of the attacks in a folder."""
    task = attacked.sgd(steps=STEPS)
    return Setting(train(task, folder, choices=Choices(witness_interval=1)), task, 1, PUBLISHED.slack * D_REF)
