"""A ledger row is what is recorded of one step, as a value and as bytes (docs/protocol.md, section 5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from pol_jax import array_types
from pol_jax.protocol.encoding import DIGEST_BYTES, FORMAT, FORMAT_1, Digest, Format, row_bytes, row_digest


@dataclass(frozen=True)
class RowLayout:
    """A row layout says which metrics the rows of a run hold, and how they are hashed; it follows from the commitment.

    Attributes:
        metrics: names of the metrics of a row, in order; of version 1 it is the loss alone.
        loss: name of the metric that is the loss.
        version: of the commitment.
    """

    metrics: tuple[str, ...] = ("loss",)
    loss: str = "loss"
    version: Format = FORMAT

    def size(self, step: int) -> int:
        """Return how many bytes the metrics in the row of ``step`` have."""
        return 4 * len(self.metrics) if step else 0


@dataclass(frozen=True, eq=False)
class Row:
    """A ledger row holds what is recorded of one step. Two rows are equal if their bytes are, the metrics included.

    Attributes:
        step: number of the step; 0 is the row of the initial state.
        key: key data of the step's PRNG key, as little-endian bytes.
        indices: indices of the batch's records, in order; empty in row 0.
        batch: digest of the batch.
        state: digest of the state after the step, or None at a step without a witness.
        metrics: the metrics as little-endian ``float32`` bytes, in the order of the layout; empty in row 0.
        layout: which metrics these are.
    """

    step: int
    key: bytes
    indices: array_types.UInt64[np.ndarray, " batch"]
    batch: Digest
    state: Digest | None
    metrics: bytes
    layout: RowLayout = RowLayout()

    def encode(self) -> bytes:
        """Return the bytes of the row, as they are hashed."""
        return row_bytes(self.step, self.key, self.indices, self.batch, self.state, self.metrics, self.layout.version)

    def digest(self) -> Digest:
        """Return the digest of the row, which is its leaf in the Merkle tree."""
        return row_digest(self.encode(), self.layout.version)

    @property
    def values(self) -> dict[str, np.float32]:
        """Return the metrics by name, bit for bit; none in row 0."""
        # Not strict: row 0 has no metrics.
        return dict(zip(self.layout.metrics, np.frombuffer(self.metrics, "<f4"), strict=False))

    @property
    def loss(self) -> float | None:
        """Return the loss as a number, or None in row 0."""
        return float(self.values[self.layout.loss]) if self.metrics else None

    @property
    def metrics_problem(self) -> str | None:
        """Return what is wrong with the number of metrics, in words, or None if nothing is."""
        got, expected = len(self.metrics), self.layout.size(self.step)
        if got == expected:
            return None
        if self.layout.version == FORMAT_1:
            return "loss is missing" if got < expected else "loss must be missing"
        return f"metrics: got {got // 4}, expected {expected // 4}"

    def __eq__(self, other: object) -> bool:
        """Compare byte for byte: a NaN equals the same NaN, and 0.0 does not equal -0.0."""
        # Fields of which the bytes are made that are hashed: where all are equal, so are the digests.
        return isinstance(other, Row) and self._rest == other._rest and np.array_equal(self.indices, other.indices)

    @property
    def _rest(self) -> tuple[object, ...]:
        """Return everything but the indices; rows are compared in every step of a replay, and encoding costs more."""
        return self.step, self.key, self.batch, self.state, self.metrics, self.layout

    def __hash__(self) -> int:
        """Hash the step, which equal rows have in common."""
        return hash(self.step)


def differing_columns(a: Row, b: Row) -> list[str]:
    """Return the names of the ledger's columns in which two rows differ, metrics by their own names."""
    equal = {
        "step": a.step == b.step,
        "key": a.key == b.key,
        "indices": np.array_equal(a.indices, b.indices),
        "batch_digest": a.batch == b.batch,
        "state_digest": a.state == b.state,
    }
    return [name for name, same in equal.items() if not same] + _differing_metrics(a, b)


def _differing_metrics(a: Row, b: Row) -> list[str]:
    if a.layout != b.layout or len(a.metrics) != len(b.metrics):
        return ["metrics"]
    pairs = zip(a.layout.metrics, range(0, len(a.metrics), 4), strict=False)
    return [name for name, at in pairs if a.metrics[at : at + 4] != b.metrics[at : at + 4]]


def decode_row(content: bytes, layout: RowLayout) -> Row | None:
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
        # Flags and lengths are skipped here: encoding the row again compares them too.
        metrics = rest[1:] if layout.version == FORMAT_1 else rest[8:]
        row = Row(step, key, indices, digest, state, metrics, layout)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None
    # Slices of a short content are short too: only encoding the row again shows that nothing was missing or left over.
    return row if row.encode() == content and len(metrics) % 4 == 0 else None
