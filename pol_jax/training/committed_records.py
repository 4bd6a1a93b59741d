"""The records that a step received are compared with the committed ones, by digests of the same arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Integer, UInt8, UInt64

from pol_jax.errors import DataError
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT, Format
from pol_jax.training.records import Batch, digest_batch

_REMEMBERED_BYTES: Final = 2**26
"""Data sets of more bytes are not remembered."""


class CommittedRecords:
    """Committed records are known by their digests, and by the bytes of those that were checked before.

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
        self._rows: tuple[np.ndarray, ...] = ()

    def check(self, batch: Batch, indices: UInt64[np.ndarray, " batch"]) -> UInt8[np.ndarray, "batch 32"]:
        """Return the digests of the records of a batch.

        Args:
            batch: the arrays that the step received.
            indices: the records' places in the source.

        Raises:
            DataError: a record is not the committed one.
        """
        places = indices.astype(np.int64)
        expected, rows = self._digests[places], tuple(map(_words, batch))
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

    def _remembers(self, places: Integer[np.ndarray, " batch"], rows: Sequence[np.ndarray]) -> bool:
        if not self._seen[places].all() or _kinds(rows) != _kinds(self._rows):
            return False
        pairs = zip(self._rows, rows, strict=True)
        return all(np.array_equal(seen.take(places, axis=0), leaf) for seen, leaf in pairs)

    def _remember(self, places: Integer[np.ndarray, " batch"], rows: Sequence[np.ndarray]) -> None:
        if len(self._digests) * max(sum(leaf[0].nbytes for leaf in rows), DIGEST_BYTES) > _REMEMBERED_BYTES:
            return
        if not self._rows:
            self._rows = tuple(np.empty((len(self._digests), *leaf.shape[1:]), leaf.dtype) for leaf in rows)
        # A source may give another dtype later. Such records are digested each time, and not remembered.
        if _kinds(rows) != _kinds(self._rows):
            return
        for seen, leaf in zip(self._rows, rows, strict=True):
            seen[places] = leaf
        self._seen[places] = True


def _words(leaf: np.ndarray) -> np.ndarray:
    """Return the bytes of each record of a leaf, as the widest integers that they divide into: fewer to compare."""
    rows = leaf.reshape(len(leaf), -1).view(np.uint8)
    return rows.view(f"u{math.gcd(rows.shape[1], 8)}")


def _kinds(rows: Sequence[np.ndarray]) -> list[tuple[np.dtype, tuple[int, ...]]]:
    """Return type and shape of a record in each leaf: integers of two widths may be equal, and their bytes are not."""
    return [(leaf.dtype, leaf.shape[1:]) for leaf in rows]
