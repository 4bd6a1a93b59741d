"""The nine stages of a verification, as docs/protocol.md numbers and names them."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """A stage of a verification: its value is its number, and the stages are gone through in this order."""

    LIMITS_AND_NAMES = 1
    FILES_AGAINST_CLAIM = 2
    COMMITMENT = 3
    LEDGER = 4
    KEYS_AND_ORDER = 5
    STATE_DIGESTS = 6
    INITIAL_STATE = 7
    CHALLENGE = 8
    REPLAY = 9

    @property
    def title(self) -> str:
        """The stage's name in documents and reports, such as "initial state"."""
        return self.name.lower().replace("_", " ")

    def __str__(self) -> str:
        """The stage as a reason for a verdict begins with it, such as "stage 7, initial state"."""
        return f"stage {self.value}, {self.title}"
