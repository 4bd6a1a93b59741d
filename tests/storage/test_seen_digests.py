"""Digests of rows and states that were seen: whatever is read later is compared with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pol_jax.errors import ProofError
from pol_jax.protocol.rows import Row
from pol_jax.protocol.spans import Span
from pol_jax.storage.seen_digests import SeenDigests, seen_before

ROWS = [Row(step, bytes(8), np.arange(2, dtype=np.uint64), bytes(32), None, bytes(4)) for step in range(6)]
SEEN = SeenDigests(0, b"".join(row.digest() for row in ROWS), {0: b"a" * 32, 3: b"b" * 32})


def test_what_was_seen_is_passed_on() -> None:
    assert list(SEEN.check_rows("ledger", ROWS)) == ROWS
    SEEN.check_state("checkpoint", 3, b"b" * 32)


def test_what_is_other_than_seen_is_refused() -> None:
    with pytest.raises(ProofError, match="ledger: changed since it was checked: row 2"):
        SEEN.check_rows("ledger", [ROWS[1], dataclasses.replace(ROWS[2], metrics=b"abcd")])
    for step, digest in ((3, b"a" * 32), (1, b"a" * 32)):
        with pytest.raises(ProofError, match="there: changed since it was checked"):
            SEEN.check_state("there", step, digest)


def test_of_a_span_nothing_else_is_known() -> None:
    part = SEEN.of_span(Span(3, 5))
    assert list(part.check_rows("ledger", ROWS)) == ROWS[4:]
    part.check_state("checkpoint", 3, b"b" * 32)
    with pytest.raises(ProofError):
        part.check_state("checkpoint", 0, b"a" * 32)


def test_what_can_t_be_read_any_more_has_changed() -> None:
    with pytest.raises(ProofError, match="a file: changed since it was checked: is missing"), seen_before():
        raise ProofError("a file", "is missing")
