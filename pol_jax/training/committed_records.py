"""This class checks that the records that a step received are the committed ones, by digests of the same arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Integer, UInt8, UInt64

from pol_jax.errors import DataError
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT, Format
from pol_jax.training.records import Batch, digest_batch, record_rows

_REMEMBERED_BYTES: Final = 2**26


class CommittedRecords:
    """The digests of the committed records, and a memory of the bytes of records that were checked before.

    A record that comes again in each epoch is compared with the bytes that were digested before. That is as exact as a
    digest, and several times faster for small records. Data sets of more than 64 MiB are digested each time.
    """

    def __init__(
        self, digests: UInt8[np.ndarray, "records 32"], secret: bytes | None = None, version: Format = FORMAT
    ) -> None:
        """Check records against ``digests``.

        Args:
            digests: the committed digests of all records, in the order of the source.
            secret: 32 bytes that salt the records of a private data set; None for a public one.
            version: of the commitment.
        """
        self._digests, self._secret, self._version = digests, secret, version
        self._seen: Bool[np.ndarray, " records"] = np.zeros(len(digests), bool)
        self._rows: UInt8[np.ndarray, "records bytes"] | None = None

    def check(self, batch: Batch, indices: UInt64[np.ndarray, " batch"]) -> UInt8[np.ndarray, "batch 32"]:
        """Return the digests of the records of a batch.

        Args:
            batch: the arrays that the step received.
            indices: the records' places in the source.

        Raises:
            DataError: a record is not the committed one.
        """
        places = indices.astype(np.int64)
        expected, rows = self._digests[places], record_rows(batch)
        if self._remembers(places, rows):
            return expected
        digests = digest_batch(batch, places, self._secret, self._version)
        for place, got, want in zip(places, digests, expected, strict=True):
            if got != want.tobytes():
                raise DataError(
                    f"record {place} of the source is not the committed one; use the committed data set, and a"
                    " source whose records are the same each time they are read (augment them inside the step)"
                )
        self._remember(places, rows)
        return expected

    def committed(self, indices: UInt64[np.ndarray, " batch"]) -> UInt8[np.ndarray, "batch 32"]:
        """Return the committed digests of records, which are not read."""
        return self._digests[indices.astype(np.int64)]

    def _remembers(self, places: Integer[np.ndarray, " batch"], rows: UInt8[np.ndarray, "batch bytes"]) -> bool:
        return self._rows is not None and bool(self._seen[places].all()) and np.array_equal(self._rows[places], rows)

    def _remember(self, places: Integer[np.ndarray, " batch"], rows: UInt8[np.ndarray, "batch bytes"]) -> None:
        if len(self._digests) * max(rows.shape[1], DIGEST_BYTES) > _REMEMBERED_BYTES:
            return
        if self._rows is None:
            self._rows = np.empty((len(self._digests), rows.shape[1]), np.uint8)
        self._rows[places], self._seen[places] = rows, True
