"""A stored state is checked leaf by leaf, and read again leaf by leaf: no process holds the whole of a large one.

Files may change while they are verified. So the digests of all pieces are kept from the first reading, and whatever is
read later must have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, overload

import numpy as np

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import Digest
from pol_jax.protocol.trees import StateSpec
from pol_jax.storage.seen_digests import CHANGED, seen_before
from pol_jax.storage.stored_leaves import StoredLeaves, open_leaves
from pol_jax.training.states import Layout, cut, piece_digests

KEPT_BYTES: Final = 2**28
"""The leaves of a state that is no larger stay in memory: to read them again would cost more than they take."""


class CheckedLeaves(Sequence[np.ndarray]):
    """Checked leaves are those of a stored state, in its order; each is read when it is asked for."""

    def __init__(self, stored: StoredLeaves) -> None:
        """Read all leaves once, piece by piece if they are not kept.

        Raises:
            ProofError: one is damaged.
        """
        self._stored, self._layout = stored, Layout(stored.spec)
        self._kept: list[np.ndarray] | None = None
        if self._layout.nbytes <= KEPT_BYTES:
            self._kept = stored.read_all()
            self._digests = [self._pieces(at, leaf) for at, leaf in enumerate(self._kept)]
        else:
            self._digests = [list(stored.digest_pieces(at)) for at in range(len(stored.spec))]

    def digest(self) -> Digest:
        """Return the digest of the state."""
        return self._layout.combine({0: b"".join(digest for each in self._digests for digest in each)})

    def forget(self) -> None:
        """Keep no leaf in memory; what is asked for from now on is read again."""
        self._kept = None

    def __len__(self) -> int:
        """Return how many leaves there are."""
        return len(self._digests)

    @overload
    def __getitem__(self, at: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, at: slice) -> list[np.ndarray]: ...

    def __getitem__(self, at: int | slice) -> np.ndarray | list[np.ndarray]:
        """Return a leaf, or several.

        Raises:
            ProofError: it is another one than the first time.
        """
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        if self._kept is not None:
            return self._kept[at]
        at = range(len(self))[at]
        with seen_before():
            leaf = self._stored.read(at, ())
        # Piece by piece, so that one leaf is checked without reading any other leaf of the state.
        if self._pieces(at, leaf) != self._digests[at]:
            raise ProofError(self._stored.where, f"{CHANGED}: its state is another one")
        return leaf

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the leaves in order, one in memory at a time."""
        return (self[at] for at in range(len(self)))

    def _pieces(self, at: int, leaf: np.ndarray) -> list[Digest]:
        return piece_digests(list(cut(self._layout.spec[at], leaf)))


def check_leaves(root: Path, where: str, spec: StateSpec) -> CheckedLeaves:
    """Read the leaves in the directory ``where`` of a proof once; for errors see `open_leaves`."""
    return CheckedLeaves(open_leaves(root, where, spec))
