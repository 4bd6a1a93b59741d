"""A prover may change the state from outside the program: what was changed, and why, becomes part of the claim."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pol_jax.errors import DivergenceError, UsageError
from pol_jax.protocol.claim import Intervention
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.encoding import FORMAT_1
from pol_jax.protocol.initial import problem_of_leaves
from pol_jax.proving.aim import Aim, remember
from pol_jax.storage.interventions import DIRECTORY, intervention_name, load_intervention, save_intervention
from pol_jax.storage.open_run import Preempted
from pol_jax.training.initial_state import digest_of
from pol_jax.training.states import little_endian

_REASON_CHARACTERS = 256


class Interventions:
    """Interventions are those of an open run; the ones before an interruption are made again when it goes on.

    Attributes:
        made: all so far, ascending by step.
    """

    def __init__(self, root: Path, commitment: Commitment, aim: Aim, made: tuple[Intervention, ...]) -> None:
        """Begin with those that were ``made`` in a run in ``root``."""
        self._root, self._commitment, self._aim, self.made = root, commitment, aim, made

    def remove_unfinished(self) -> None:
        """Remove what was being written when the run was killed."""
        complete = {intervention_name(each.after) for each in self.made}
        directory = self._root / DIRECTORY
        for entry in directory.iterdir() if directory.is_dir() else ():
            if f"{DIRECTORY}/{entry.name}" not in complete:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def remember(self, preempted: Preempted | None = None) -> None:
        """Write the run's aim and its interventions to the directory, and where it is interrupted with notice."""
        remember(self._root, self._aim, self._commitment, self.made, preempted)

    def changes(self, step: int) -> dict[int, np.ndarray]:
        """Return the leaves that an intervention after ``step`` put into the state, by their places; or none."""
        for each in self.made:
            if each.after == step:
                return load_intervention(self._root, each, self._commitment.state)
        return {}

    def add(self, after: int, leaves: Mapping[str, Any], reason: str) -> dict[int, np.ndarray]:
        """Record an intervention after a step, and return the new leaves by their places in the state.

        Raises:
            UsageError: there is no such leaf, an array has another shape or dtype, or the run can't have interventions.
            DivergenceError: the run recorded another intervention after this step.
            StorageError: the leaves can't be written.
        """
        if self._commitment.format == FORMAT_1:
            raise UsageError("this run was begun in pol-jax/1, which has no interventions; start a new run")
        if len(reason) > _REASON_CHARACTERS:
            raise UsageError(f"reason: got {len(reason)} characters, expected at most {_REASON_CHARACTERS}")
        changed = self._conform(leaves)
        spec = tuple(self._commitment.state[place] for place in changed)
        arrays, paths = list(changed.values()), tuple(leaf.path for leaf in spec)
        intervention = Intervention(after, paths, digest_of(spec, arrays), reason)
        # After an interruption the same code makes the same interventions again; then nothing is written twice.
        known = [each for each in self.made if each.after >= after]
        if known:
            if intervention not in known:
                raise DivergenceError(
                    f"{self._root}: another intervention was recorded after step {known[0].after}; make the same again,"
                    " or start a new run"
                )
            return changed
        # The leaves first, then the note in the run: a note without leaves could not be replayed.
        save_intervention(self._root, after, spec, arrays)
        self.made = (*self.made, intervention)
        self.remember()
        return changed

    def _conform(self, leaves: Mapping[str, Any]) -> dict[int, np.ndarray]:
        """Return the new leaves by their places, if they are leaves of the state, of its shapes and dtypes."""
        state = self._commitment.state
        known = {leaf.path for leaf in state}
        for path in leaves:
            if path not in known:
                raise UsageError(f"intervention: {path!r} is no leaf of the state; expected one of {sorted(known)[:8]}")
        chosen = {place: leaf for place, leaf in enumerate(state) if leaf.path in leaves}
        if problem := problem_of_leaves(tuple(leaf.path for leaf in chosen.values()), state):
            raise UsageError(f"intervention: {problem}")
        arrays = {place: np.asarray(leaves[leaf.path]) for place, leaf in chosen.items()}
        for place, array in arrays.items():
            leaf = state[place]
            if array.dtype.name != leaf.dtype or array.shape != leaf.shape:
                got, expected = f"{array.dtype.name}{list(array.shape)}", f"{leaf.dtype}{list(leaf.shape)}"
                raise UsageError(f"intervention: {leaf.path}: got {got}, expected {expected}")
        return {place: little_endian(array) for place, array in arrays.items()}
