"""The catalogue has all attacks, in the order of the table in ``docs/attacks.md``."""

from __future__ import annotations

from typing import Final

from pol_jax.attacks import (
    blindfold,
    chosen_batches,
    hidden_target,
    interpolation,
    last_bits,
    laundered_chain,
    lies,
    retraining,
    steering,
    stolen_proof,
    synthesised_records,
)
from pol_jax.attacks.attack import Attack
from pol_jax.errors import UsageError

ATTACKS: Final[tuple[Attack, ...]] = (
    *interpolation.ATTACKS,
    *retraining.ATTACKS,
    *blindfold.ATTACKS,
    *synthesised_records.ATTACKS,
    *chosen_batches.ATTACKS,
    *lies.ATTACKS,
    *stolen_proof.ATTACKS,
    *hidden_target.ATTACKS,
    *steering.ATTACKS,
    *last_bits.ATTACKS,
    *laundered_chain.ATTACKS,
)


def attack_named(name: str) -> Attack:
    """Return the attack with this name.

    Raises:
        UsageError: there is none.
    """
    for attack in ATTACKS:
        if attack.name == name:
            return attack
    raise UsageError(f"attack {name!r}: expected one of {', '.join(attack.name for attack in ATTACKS)}")
