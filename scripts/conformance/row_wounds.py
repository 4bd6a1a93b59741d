"""Rows that no ledger may have (docs/protocol.md, section 13, stages 4 to 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from conformance.drafts import changed
from conformance.proof_changes import Change
from conformance.proof_wounds import FIRST, LAST, Wound
from pol_jax.protocol.encoding import batch_digest
from pol_jax.protocol.rows import Row

Kept: TypeAlias = Callable[[str, Callable[[], bytes]], bytes]
"""Returns what a tool wrote under this name before, and calls the writer only if it wrote nothing."""


def row_wounds(kept: Kept) -> Iterator[Wound]:
    """Yield wounds of rows."""

    def rewritten(name: str, change: Callable[[list[Row]], list[Row]], segment: int) -> Change:
        return lambda draft: draft.ledger(change(draft.rows()), partial(kept, f"{name}.parquet"), segment)

    for name, stage, names, step, fields in ROWS:
        change = partial(_with_row, step=step, fields=fields)
        yield name, stage, names, rewritten(name, change, max(0, step - 1) // 2)
    yield "rows exchanged", 4, "steps", rewritten("rows exchanged", lambda r: [*r[:3], r[4], r[3], r[5]], 1)
    yield "a row dropped", 4, "steps", rewritten("a row dropped", lambda r: [*r[:3], r[3], r[5]], 1)


def _with_row(rows: list[Row], step: int, fields: Callable[[Sequence[Row]], dict[str, Any]]) -> list[Row]:
    return [*rows[:step], changed(rows[step], **fields(rows)), *rows[step + 1 :]]


RowWound: TypeAlias = tuple[str, int, str, int, Callable[[Sequence[Row]], dict[str, Any]]]

ROWS: Final[tuple[RowWound, ...]] = (
    ("a row without its state digest", 4, "state_digest", 3, lambda r: {"state": None}),
    ("the last row without its state digest", 4, "state_digest", 5, lambda r: {"state": None}),
    ("row 0 without its state digest", 4, "state_digest", 0, lambda r: {"state": None}),
    ("a row without metrics", 4, "metrics", 3, lambda r: {"metrics": b""}),
    ("a row with one metric", 4, "metrics", 3, lambda r: {"metrics": r[3].metrics[:4]}),
    ("a row with three metrics", 4, "metrics", 3, lambda r: {"metrics": r[3].metrics + bytes(4)}),
    ("row 0 with metrics", 4, "metrics", 0, lambda r: {"metrics": r[1].metrics}),
    ("a row of another step", 4, "steps", 3, lambda r: {"step": 4}),
    ("a row with another key", 5, "row", 3, lambda r: {"key": r[2].key}),
    ("a row with a short key", 5, "row", 3, lambda r: {"key": r[3].key[:4]}),
    ("row 0 with the key of step 1", 5, "row", 0, lambda r: {"key": r[1].key}),
    ("a row with the batch of another", 5, "row", 3, lambda r: {"indices": r[2].indices, "batch": r[2].batch}),
    ("a row with its batch in another order", 5, "row", 3, lambda r: {"indices": r[3].indices[::-1]}),
    ("a row with half a batch", 5, "row", 3, lambda r: {"indices": r[3].indices[:1]}),
    ("a row with no batch", 5, "row", 3, lambda r: {"indices": r[3].indices[:0], "batch": batch_digest([])}),
    ("a row with a record that is not there", 5, "row", 3, lambda r: {"indices": r[3].indices + 2**40}),
    ("row 0 with a batch", 5, "row", 0, lambda r: {"indices": r[1].indices, "batch": r[1].batch}),
    ("a row with another batch digest", 5, "row", 3, lambda r: {"batch": bytes(32)}),
    ("the last row with another batch digest", 5, "row", 5, lambda r: {"batch": r[4].batch}),
    ("row 0 with another batch digest", 5, "row", 0, lambda r: {"batch": bytes(32)}),
    (
        "a row with another state digest than its checkpoint",
        6,
        "checkpoints/0000000004",
        4,
        lambda _: {"state": bytes(32)},
    ),
    ("row 0 with another state digest than its checkpoint", 6, FIRST, 0, lambda _: {"state": bytes(32)}),
    ("row T with another state digest than its checkpoint", 6, LAST, 5, lambda _: {"state": bytes(32)}),
)
