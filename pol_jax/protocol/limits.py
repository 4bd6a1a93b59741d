"""Limits say how much a verifier is willing to read; they never come from the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RULES: Final = 8
"""The rules of judging, limits included, have this number; every report names it. A change of a verdict changes it."""


@dataclass(frozen=True)
class Limits:
    """Limits say how much a verifier is willing to read; they never come from the proof.

    Attributes:
        document_bytes: largest size of a JSON document.
        program_bytes: largest size of one exported program.
        records_bytes: largest size of the file of record digests.
        segment_bytes: largest size of one file of the ledger.
        total_bytes: largest size of all files together.
        files: largest number of files and directories.
        state_bytes: largest size of one state in memory.
        steps: largest number of steps of the run; each costs memory for its digest.
        opening_bytes: largest size of an opening.
        constant_bytes: largest size of the constants in both programs together, unless `constants` allows more.
    """

    document_bytes: int = 2**24
    program_bytes: int = 2**28
    records_bytes: int = 2**32
    segment_bytes: int = 2**30
    total_bytes: int = 2**46
    files: int = 10_000_000
    state_bytes: int = 2**40
    steps: int = 2**26
    opening_bytes: int = 2**36
    constant_bytes: int = 2**14

    def file_bytes(self, name: str) -> int:
        """Return the largest size of the file ``name`` of a proof."""
        if name.endswith(".json") and "/" not in name:
            return self.document_bytes
        # Checkpoints have no bound by file: all files together, and the size of a state, bound them (appendix B).
        by_folder = {"program": self.program_bytes, "ledger": self.segment_bytes, "records": self.records_bytes}
        return by_folder.get(name.split("/")[0], self.total_bytes)

    def constants(self, state_bytes: int) -> int:
        """Return the largest size of the constants in programs that work on a state of ``state_bytes``.

        The constants are bounded because a program could carry weights in them. 16 KiB are four times what the built-in
        tasks have; they hold a mean image of 32 by 32 pixels, or a table of 4,096 learning rates. A larger model may
        have more, but 1% of a state is too little to hold a model.
        """
        return max(self.constant_bytes, state_bytes // 100)
