"""A source is asked here for its length and its records; for what can't be a source, the error says what to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Integer

from pol_jax.errors import DataError
from pol_jax.protocol.commitment import Commitment
from pol_jax.protocol.order import MAX_RECORDS
from pol_jax.training.task import PyTree, Source
from pol_jax.training.user_code import calling

SourceOrFinder: TypeAlias = Source | Callable[[Commitment], Source]
"""The records of a proof, or a function that finds them for its commitment."""

_CURES: Final = (
    ("grain", "DataLoader", "give Grain's MapDataset: grain.MapDataset.source(...), with the same transformations"),
    ("grain", "IterDataset", "give the MapDataset from which it is made, before to_iter_dataset()"),
    ("datasets", "IterableDataset", "load it without streaming=True"),
    ("datasets", "DatasetDict", "give one of its splits"),
    ("pandas", "DataFrame", "give pol_jax.Arrays of its columns: pol_jax.Arrays(dict(frame))"),
    ("torch", "DataLoader", "give its dataset: loader.dataset"),
)
"""What to do about objects of other libraries: the first module of the class, a part of its name, and the cure."""

_WRITE: Final = "records that come one after the other can be written to a directory first: pol_jax.records_from"


def number_of_records(source: Any) -> int:
    """Return how many records a source has, after checking that it can be a source.

    Raises:
        DataError: it has no random access, no records, or more than a run can order; the text says what to use.
        UserCodeError: its ``__len__`` raised an exception.
    """
    if problem := _problem(source):
        raise DataError(problem)
    with calling("source: its length"):
        size = len(source)
    if size == 0:
        raise DataError("the source has no records")
    if size > MAX_RECORDS:
        raise DataError(
            f"the source has {size} records, more than {MAX_RECORDS}; if it repeats itself, leave out repeat(): each"
            " epoch goes over all records"
        )
    return size


def source_for(given: SourceOrFinder, commitment: Commitment) -> Source:
    """Return the records of a proof: those that are given, or what a function finds for the proof's commitment.

    Raises:
        DataError: they are no source of records.
    """
    # A source comes first, since a class of the caller's own may be both: a source, and callable.
    source = given if isinstance(given, Source) or not callable(given) else given(commitment)
    number_of_records(source)
    return source


def fetch(source: Source, indices: Integer[np.ndarray, " batch"]) -> list[PyTree]:
    """Return the records at ``indices``, in that order.

    Raises:
        UserCodeError: the source raised an exception.
    """
    where: list[Any] = indices.tolist()
    if hasattr(source, "__getitems__"):
        with calling(f"source: records {where[0]} to {where[-1]}"):
            return list(source.__getitems__(where))
    records = []
    for index in where:
        with calling(f"source: record {index}"):
            records.append(source[index])
    return records


def _problem(source: Any) -> str | None:
    """Return why an object is no source, with what to use instead; None if it is one."""
    kind = type(source)
    name = f"{kind.__module__}.{kind.__name__}" if kind.__module__ != "builtins" else kind.__name__
    for module, part, cure in _CURES:
        # By names, so that none of these libraries has to be there.
        if any(each.__module__.split(".")[0] == module and part in each.__name__ for each in kind.__mro__):
            return f"source: {name} has no records by index: {cure}"
    if isinstance(source, Mapping):
        return "source: a dict is no source of records: for a dict of arrays, give pol_jax.Arrays(...)"
    if isinstance(source, str | bytes) or not (hasattr(kind, "__len__") and hasattr(kind, "__getitem__")):
        more = f"; {_WRITE}" if hasattr(kind, "__iter__") and not isinstance(source, str | bytes) else ""
        return f"source: expected an object with len(source) and source[index], got {name}{more}"
    return None
