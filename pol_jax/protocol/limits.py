"""What a verifier is willing to read. Set by the verifier, never by the proof."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a verifier is willing to read. Set by the verifier, never by the proof.

    Attributes:
        document_bytes: a JSON document.
        program_bytes: one exported program.
        records_bytes: the file of record digests.
        segment_bytes: one segment of the ledger.
        total_bytes: all files.
        files: how many of them, directories included.
        state_bytes: one state, in memory.
        steps: of the run; each costs memory for its digest.
        opening_bytes: an opening.
        constant_bytes: values that are written down in the two programs together, see `constants`.
    """

    document_bytes: int = 2**24
    program_bytes: int = 2**28
    records_bytes: int = 2**32
    segment_bytes: int = 2**30
    total_bytes: int = 2**42
    files: int = 10_000_000
    state_bytes: int = 2**36
    steps: int = 2**26
    opening_bytes: int = 2**36
    constant_bytes: int = 2**14

    def of(self, name: str) -> int:
        """The most bytes that the file ``name`` may have."""
        if name.endswith(".json") and "/" not in name:
            return self.document_bytes
        by_folder = {"program": self.program_bytes, "ledger": self.segment_bytes, "records": self.records_bytes}
        return by_folder.get(name.split("/")[0], self.total_bytes)

    def constants(self, state_bytes: int) -> int:
        """The most bytes of constants in programs that work on a state of ``state_bytes``.

        Weights could be hidden there. 16 KiB are four times what the built-in tasks have, and a mean image of 32 by 32
        or a table of 4,096 learning rates; a program grows with its model, but 1% of a state is no model.
        """
        return max(self.constant_bytes, state_bytes // 100)
