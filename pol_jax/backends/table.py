"""A comparison is written as one flat table, with a row for each backend, state and leaf, in Parquet and CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pol_jax.backends.results import BackendOutcome, Error, Reproduction, Results
from pol_jax.files import storing

SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("task", "claim", "machine", "backend", "status", "reason", "platform")),
        *((name, pa.string()) for name in ("device_kind", "jax", "jaxlib", "xla_flags", "matmul_precision")),
        *((name, pa.int64()) for name in ("threads", "devices")),
        ("repeats", pa.bool_()),
        *((name, pa.float64()) for name in ("compile_seconds", "steps_per_second")),
        *((name, pa.string()) for name in ("kind", "leaf", "digest")),
        *((name, pa.int64()) for name in ("start", "stop", "steps")),
        *((name, pa.bool_()) for name in ("exact", "equal")),
        *((name, pa.float64()) for name in ("l1", "l2", "linf", "cosine", "update_l1", "update_l2", "update_linf")),
        *((name, pa.float64()) for name in ("l1_relative", "l2_relative", "linf_relative", "l2_over_d_ref")),
        *((name, pa.string()) for name in ("tolerance", "tolerance_reason")),
    ]
)
"""These are the columns. ``leaf`` is null for the whole state; ``digest``, ``exact`` and ``tolerance`` are given there
only. A backend that did not run has one row, with nulls from ``kind`` on."""


def table(parts: Sequence[Results], d_ref: int | float | None = None) -> pa.Table:
    """Return the table of a comparison.

    Args:
        parts: results of each machine.
        d_ref: reference distance in l2; without it ``l2_over_d_ref`` is null.
    """
    return pa.Table.from_pylist([row for part in parts for row in _rows(part, d_ref)], schema=SCHEMA)


def write_table(found: pa.Table, parquet: Path, csv: Path) -> None:
    """Write a table in both formats.

    Raises:
        StorageError: a file can't be written.
    """
    with storing(parquet):
        pq.write_table(found, parquet, compression="zstd")
    with storing(csv):
        pyarrow.csv.write_csv(found, csv)


def _rows(part: Results, d_ref: int | float | None) -> Iterator[dict[str, Any]]:
    for outcome in part.outcomes:
        named = {"task": part.task, "claim": part.claim, "machine": part.machine, **_of_outcome(outcome)}
        if not outcome.reproductions:
            yield named
        for each in outcome.reproductions:
            place = {"kind": each.kind, "start": each.start, "stop": each.stop, "steps": each.stop - each.start}
            yield {**named, **place, **_of_total(each), **_of_error(each.total, d_ref)}
            for leaf in each.leaves:
                yield {**named, **place, "leaf": leaf.leaf, **_of_error(leaf, d_ref)}


def _of_outcome(outcome: BackendOutcome) -> dict[str, Any]:
    backend, environment = outcome.backend, outcome.environment
    return {
        "backend": backend.name,
        "status": outcome.status,
        "reason": outcome.reason or None,
        "platform": backend.platform,
        "device_kind": environment and environment.device_kind,
        "jax": environment and environment.jax,
        "jaxlib": environment and environment.jaxlib,
        "xla_flags": " ".join(backend.xla_flags),
        "matmul_precision": backend.matmul_precision,
        "threads": backend.threads,
        "devices": backend.devices,
        "repeats": outcome.repeats,
        "compile_seconds": outcome.compile_seconds,
        "steps_per_second": 1 / outcome.step_seconds if outcome.step_seconds else None,
    }


def _of_total(each: Reproduction) -> dict[str, Any]:
    return {
        "digest": each.digest,
        "exact": each.exact,
        "tolerance": each.tolerance,
        "tolerance_reason": each.tolerance_reason or None,
    }


def _of_error(error: Error, d_ref: int | float | None) -> dict[str, Any]:
    names = ("equal", "l1", "l2", "linf", "cosine", "update_l1", "update_l2", "update_linf")
    return {
        **{name: getattr(error, name) for name in names},
        "l1_relative": _ratio(error.l1, error.update_l1),
        "l2_relative": _ratio(error.l2, error.update_l2),
        "linf_relative": _ratio(error.linf, error.update_linf),
        "l2_over_d_ref": _ratio(error.l2, d_ref),
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    """Return a ratio: 0 of nothing is 0, something of nothing is infinite; unknown where one of them is."""
    if part is None or whole is None:
        return None
    return part / whole if whole else math.inf if part else 0.0
