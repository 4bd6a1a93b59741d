"""What a verification has read and checked stays in memory, up to a bound: it need be neither read nor compared again.

Beyond the bound, parts are read again, and compared with the digests of what was seen (`seen_digests`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pol_jax.protocol.rows import Row

BOUND: Final = 2**26
"""This many bytes of rows stay, and as many of states: small runs whole, and of large ones the first parts."""

_ROW_BYTES: Final = 2**10
"""A row takes this many bytes beside its indices."""


class CheckedParts:
    """Checked parts are rows and states in memory: put in while they are checked, used once all of them have passed."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._left = {"rows": BOUND, "states": BOUND}
        self._rows = dict[int, list[Row]]()
        self._states = dict[int, list[np.ndarray]]()

    def put_rows(self, segment: int, rows: list[Row]) -> None:
        """Keep the rows of a segment, if there is room."""
        if self._has_room("rows", sum(_ROW_BYTES + row.indices.nbytes for row in rows)):
            self._rows[segment] = rows

    def put_state(self, step: int, leaves: Sequence[np.ndarray], size: int) -> None:
        """Keep the state after a step, of ``size`` bytes, if there is room; it can't be written to from now on."""
        if self._has_room("states", size):
            self._states[step] = list(leaves)
            for leaf in self._states[step]:
                # Whoever changed a state in place would change what every later comparison takes for the checked one.
                leaf.flags.writeable = False

    def rows(self, segment: int) -> list[Row] | None:
        """Return the rows of a segment, or None if they were not kept."""
        return self._rows.get(segment)

    def state(self, step: int) -> list[np.ndarray] | None:
        """Return the state after a step in a list of its own, or None if it was not kept."""
        found = self._states.get(step)
        return None if found is None else list(found)

    def _has_room(self, kind: str, size: int) -> bool:
        if size > self._left[kind]:
            return False
        self._left[kind] -= size
        return True
