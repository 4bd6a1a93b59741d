"""A ledger row is what is recorded of one step, as a value and as bytes (docs/protocol.md, section 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt64

from pol_jax.protocol.encoding import DIGEST_BYTES, Digest, row_bytes, row_digest


@dataclass(frozen=True, eq=False)
class Row:
    """A ledger row holds what is recorded of one step. Two rows are equal if their bytes are, the loss included.

    Attributes:
        step: number of the step; 0 is the row of the initial state.
        key: key data of the step's PRNG key, as little-endian bytes.
        indices: indices of the batch's records, in order; empty in row 0.
        batch: digest of the batch.
        state: digest of the state after the step, or None at a step without a witness.
        loss: the loss as little-endian ``float32`` bytes; None in row 0.
    """

    step: int
    key: bytes
    indices: UInt64[np.ndarray, " batch"]
    batch: Digest
    state: Digest | None
    loss: bytes | None

    def encode(self) -> bytes:
        """Return the bytes of the row, as they are hashed."""
        return row_bytes(self.step, self.key, self.indices, self.batch, self.state, self.loss)

    def digest(self) -> Digest:
        """Return the digest of the row, which is its leaf in the Merkle tree."""
        return row_digest(self.encode())

    @property
    def loss_value(self) -> float | None:
        """Return the loss as a number."""
        return None if self.loss is None else float(np.frombuffer(self.loss, "<f4")[0])

    def __eq__(self, other: object) -> bool:
        """Compare byte for byte: a NaN equals the same NaN, and 0.0 does not equal -0.0."""
        return isinstance(other, Row) and self.encode() == other.encode()

    def __hash__(self) -> int:
        """Hash the step, which equal rows have in common."""
        return hash(self.step)


def differing_columns(a: Row, b: Row) -> list[str]:
    """Return the names of the ledger's columns in which two rows differ."""
    equal = {
        "step": a.step == b.step,
        "key": a.key == b.key,
        "indices": np.array_equal(a.indices, b.indices),
        "batch_digest": a.batch == b.batch,
        "state_digest": a.state == b.state,
        "loss": a.loss == b.loss,
    }
    return [name for name, same in equal.items() if not same]


def decode_row(content: bytes) -> Row | None:
    """Return the row whose bytes ``content`` is, or None if no row has these bytes. Law: the inverse of `Row.encode`.

    None can happen in an open run: a frame of zeros, as a crash may leave it, has a valid checksum.
    """
    try:
        step, length = struct.unpack_from("<QQ", content)
        key, rest = content[16 : 16 + length], content[16 + length :]
        (batch,) = struct.unpack_from("<Q", rest)
        indices, rest = np.frombuffer(rest, "<u8", batch, 8), rest[8 + 8 * batch :]
        digest, rest = rest[:DIGEST_BYTES], rest[DIGEST_BYTES:]
        state, rest = (rest[1 : 1 + DIGEST_BYTES], rest[1 + DIGEST_BYTES :]) if rest[0] else (None, rest[1:])
        row = Row(step, key, indices, digest, state, rest[1:] if rest[0] else None)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None
    # Slices of a short content are short too: only encoding the row again shows that nothing was missing or left over.
    whole = row.encode() == content and (row.loss is None or len(row.loss) == 4)
    return row if whole else None
