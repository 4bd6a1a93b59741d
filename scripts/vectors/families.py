"""This table names the file that holds each family of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vectors import challenge, digests, documents, keys, magnitudes, order, processors, rows, starts, states, trees

FAMILIES: Final[dict[str, Callable[[], Any]]] = {
    "digests": digests.vectors,
    "states": states.vectors,
    "starts": starts.vectors,
    "rows": rows.vectors,
    "trees": trees.vectors,
    "keys": keys.vectors,
    "order": order.vectors,
    "challenge": challenge.vectors,
    "magnitudes": magnitudes.vectors,
    "documents": documents.vectors,
    "processors": processors.vectors,
}
