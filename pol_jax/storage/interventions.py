"""Leaves that an intervention put into the state are kept like a checkpoint of these leaves alone (section 11)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage.checkpoints import save_leaves
from pol_jax.storage.reader import DIRECT, Reader
from pol_jax.training.initial_state import digest_of

DIRECTORY: Final = "interventions"

_NAME: Final = re.compile(r"[0-9]{10}\Z")


def intervention_name(after: int) -> str:
    """Return the directory of the intervention after a step, relative to the proof."""
    return f"{DIRECTORY}/{after:010d}"


def save_intervention(root: Path, after: int, spec: StateSpec, leaves: Sequence[np.ndarray]) -> None:
    """Save the new leaves, whose specification is ``spec``.

    Raises:
        StorageError: they can't be written.
    """
    save_leaves(root, intervention_name(after), spec, leaves)


def load_intervention(
    root: Path, intervention: Intervention, state: StateSpec, reader: Reader = DIRECT
) -> dict[int, np.ndarray]:
    """Return the new leaves of an intervention, by their places in the state.

    Raises:
        ProofError: they are missing, damaged, or not those that the claim names.
    """
    # In the order of the state, which is that of the digest and of the stored leaves.
    places = [place for place, leaf in enumerate(state) if leaf.path in set(intervention.leaves)]
    spec, where = tuple(state[place] for place in places), intervention_name(intervention.after)
    leaves = reader.leaves(root, where, spec)
    if digest_of(spec, leaves) != intervention.digest:
        raise ProofError(where, "its leaves are not those that the claim names")
    return dict(zip(places, leaves, strict=True))


def intervention_steps(root: Path) -> list[int]:
    """Return the steps after which the directory has an intervention, ascending."""
    directory = root / DIRECTORY
    entries = directory.iterdir() if directory.is_dir() else ()
    return sorted(int(entry.name) for entry in entries if _NAME.match(entry.name))
