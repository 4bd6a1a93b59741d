"""A verification has nine stages, which section 13 of docs/protocol.md numbers and names."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """A stage of a verification has its number as value; the stages are gone through in this order."""

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
        """Return the stage's name in documents and reports, such as "initial state"."""
        return self.name.lower().replace("_", " ")

    def __str__(self) -> str:
        """Return the text with which a reason for a verdict begins, such as "stage 7, initial state"."""
        return f"stage {self.value}, {self.title}"
