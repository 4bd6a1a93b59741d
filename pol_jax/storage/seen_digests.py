"""What a verification has seen of a ledger is kept as digests, since files may change while they are verified.

Rows and states are too large to stay in memory, so they are read again. Without a comparison, a prover who swaps files
in between could have one run checked and another one replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from pol_jax.errors import ProofError
from pol_jax.protocol.encoding import DIGEST_BYTES
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span

CHANGED = "changed since it was checked"


class SeenDigests(msgspec.Struct, frozen=True):
    """Seen digests are those of rows and states that a verification has seen, or those of one span.

    Attributes:
        first: the step of the first row.
        rows: the digests of the rows of consecutive steps, one after the other.
        states: the digest of the state at each step that may have a checkpoint.
    """

    first: int
    rows: bytes
    states: dict[int, bytes]

    def of_span(self, span: Span) -> SeenDigests:
        """Return what a replay of ``span`` needs: the rows of its steps, and the state that it begins with."""
        begin, end = ((step - self.first) * DIGEST_BYTES for step in (span.start + 1, span.stop + 1))
        return SeenDigests(span.start + 1, self.rows[begin:end], {span.start: self.states[span.start]})

    def check_rows(self, where: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Return those of ``rows``, found in the file ``where``, whose steps were seen; all of them are checked first.

        Raises:
            ProofError: one is another than the one that was seen.
        """
        stop = self.first + len(self.rows) // DIGEST_BYTES
        # A list, so that a row is checked before any row of the segment is used.
        known = [row for row in rows if self.first <= row.step < stop]
        for row in known:
            begin = (row.step - self.first) * DIGEST_BYTES
            if row.digest() != self.rows[begin : begin + DIGEST_BYTES]:
                raise ProofError(where, f"{CHANGED}: row {row.step} is another one")
        return iter(known)

    def check_state(self, where: str, step: int, digest: bytes) -> None:
        """Refuse the state in the checkpoint ``where``, if its ``digest`` is not the one that was seen.

        Raises:
            ProofError: it is another one.
        """
        # A step that was not seen has no digest: a checkpoint that came later is refused as well.
        if digest != self.states.get(step):
            raise ProofError(where, f"{CHANGED}: its state is another one")


@contextmanager
def seen_before() -> Iterator[None]:
    """Say of a file that can't be read now that it could be read before.

    Raises:
        ProofError: the file is damaged or missing.
    """
    try:
        yield
    except ProofError as error:
        problem = str(error).partition(": ")[2]
        raise ProofError(error.where, problem if problem.startswith(CHANGED) else f"{CHANGED}: {problem}") from error
