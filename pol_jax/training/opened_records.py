"""The records of an opening are a source in which most records are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt64

from pol_jax.errors import DataError
from pol_jax.protocol.commitment import DataCommitment
from pol_jax.protocol.encoding import Digest, record_digests
from pol_jax.protocol.trees import PyTree
from pol_jax.training.pytrees import nested
from pol_jax.training.records import Batch, record_rows


@dataclass(frozen=True)
class CommittedRecord:
    """A committed record has an inclusion proof that led to the data set's root, and a salt if the data are private."""

    leaves: Batch
    digest: Digest
    salt: bytes | None


@dataclass(frozen=True)
class OpenedRecords:
    """Opened records are a source, and check the batches that the loop receives."""

    data: DataCommitment
    opened: Mapping[int, CommittedRecord]

    def __len__(self) -> int:
        """Return how many records the source has, opened or not."""
        return self.data.records

    def __contains__(self, index: object) -> bool:
        """Return whether a record was opened."""
        return index in self.opened

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return nested(self.data.record, self._at(index).leaves)

    def digest(self, index: int) -> Digest:
        """Return the digest of a record."""
        return self._at(index).digest

    def check(self, batch: Batch, indices: UInt64[np.ndarray, " batch"]) -> UInt8[np.ndarray, "batch 32"]:
        """Return the digests of the records of a batch; see `pol_jax.training.committed_records.CommittedRecords`.

        Raises:
            DataError: they are not those of the opened records.
        """
        records = [self._at(index) for index in indices.tolist()]
        # Either all records have a salt or none has one: stage 5 refuses an opening that mixes them.
        salts = [record.salt for record in records if record.salt is not None] or None
        digests = record_digests(record_rows(batch), salts)
        # An opening's records were checked before; this is about the very arrays that the step has received.
        if digests != [record.digest for record in records]:
            raise DataError("the records of a batch are not the opened ones")
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)

    def committed(self, indices: UInt64[np.ndarray, " batch"]) -> UInt8[np.ndarray, "batch 32"]:
        """Return the digests of records."""
        digests = b"".join(self.digest(index) for index in indices.tolist())
        return np.frombuffer(digests, np.uint8).reshape(-1, 32)

    def _at(self, index: int) -> CommittedRecord:
        if index not in self.opened:
            raise DataError(f"record {index} was not opened")
        return self.opened[index]
