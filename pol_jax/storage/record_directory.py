"""Records that come one after the other are written to a directory once, and are a source from then on.

A row of the file ``rows`` is the bytes of one record, leaf after leaf; ``spec.json`` says which leaves there are, and
how many records, once the last one is written. What was interrupted can be continued: rows that are there already are
compared with what comes again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

import jax
import msgspec
import numpy as np
from jaxtyping import Integer, UInt8

from pol_jax.errors import DataError, ProofError
from pol_jax.files import as_path, locked, storing, write_whole
from pol_jax.progress import Progress, Silent
from pol_jax.protocol.documents import decode, encode
from pol_jax.protocol.trees import DTYPES, ArraySpec, PyTree, RecordSpec
from pol_jax.training.pytrees import nested
from pol_jax.training.record_leaves import spec_of_record
from pol_jax.training.records import record_rows, take
from pol_jax.training.user_code import calling

_ROWS: Final = "rows"
_SPEC: Final = "spec.json"
_BLOCK: Final = 256
"""This many records are written at once."""


class RecordDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document ``spec.json``: the leaves of a record, and how many there are; None while they are written."""

    record: tuple[ArraySpec, ...]
    records: int | None


class RecordDirectory:
    """A source of records that `records_from` has written. They are nested dicts of arrays, by the names of leaves."""

    def __init__(self, directory: Path | str) -> None:
        """Open a directory.

        Raises:
            DataError: it has no records, or not all of them.
        """
        root = as_path(directory)
        found = _read(root)
        if found is None or found.records is None:
            raise DataError(f"{root}: holds no records, or not all; write them with pol_jax.records_from")
        self._root, self._spec, width = root, found.record, _width(root, found.record)
        with storing(root):
            size = (root / _ROWS).stat().st_size
            if size != found.records * width:
                raise DataError(f"{root / _ROWS}: has {size} bytes, expected {found.records} records of {width} bytes")
            self._rows: UInt8[np.ndarray, "records bytes"] = np.memmap(root / _ROWS, np.uint8, "r").reshape(-1, width)

    def __repr__(self) -> str:
        """Return directory and number of records in one line."""
        return f"<RecordDirectory {str(self._root)!r}: {len(self)} records>"

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._rows)

    def __getitem__(self, index: int) -> PyTree:
        """Return record ``index``."""
        return jax.tree.map(lambda leaf: leaf[0], self.records_at(np.array([range(len(self))[index]])))

    def records_at(self, indices: Integer[np.ndarray, " batch"]) -> PyTree:
        """Return the records at ``indices`` as one batch."""
        rows, leaves, begin = self._rows[indices], [], 0
        for leaf in self._spec:
            part = np.ascontiguousarray(rows[:, begin : begin + leaf.nbytes])
            leaves.append(part.view(DTYPES[leaf.dtype]).reshape(len(indices), *leaf.shape))
            begin += leaf.nbytes
        return nested(self._spec, leaves)


def records_from(
    records: Iterable[PyTree], directory: Path | str, *, progress: Progress | None = None, size: int | None = None
) -> RecordDirectory:
    """Write records that come one after the other, such as those of a ``tf.data`` pipeline; return them as a source.

    If the directory is complete already, it is returned as it is. If it was interrupted, it is continued: ``records``
    must then begin again, and give the same records.

    Args:
        records: pytrees of arrays of numbers, all of the same shapes and dtypes; batches must be cut into records.
        directory: where they are written, which is made if it does not exist.
        progress: told of the records.
        size: how many there are, if that is known, for the progress.

    Raises:
        DataError: there are no records, they are not alike, or they are others than those that are there.
        UserCodeError: the iterator raised an exception.
        StorageError: the directory can't be written.
    """
    root = as_path(directory)
    with locked(root), storing(root):
        found = _read(root)
        if found is None or found.records is None:
            _write(root, found, _checked(records), progress or Silent(), size or 0)
    return RecordDirectory(root)


def _checked(records: Iterable[PyTree]) -> Iterator[PyTree]:
    """Yield what an iterator of the caller's gives, with its errors as one line."""
    with calling("records"):
        iterator = iter(records)
    number = 0
    while True:
        with calling(f"records: record {number}"):
            try:
                record = next(iterator)
            except StopIteration:
                return
        number += 1
        yield record


def _write(
    root: Path, found: RecordDescription | None, records: Iterator[PyTree], progress: Progress, size: int
) -> None:
    first = next(records, None)
    if first is None:
        raise DataError("there are no records to write")
    spec = spec_of_record(first)
    if found is not None and found.record != spec:
        raise DataError(f"{root}: has records of other shapes or dtypes; choose another directory")
    width = _width(root, spec)
    # Without a number, until the last row is on the disk: a directory that lacks rows is no source.
    write_whole(root / _SPEC, encode(RecordDescription(spec, None)))
    number = 0
    records = chain([first], records)
    progress.begin("writing records", size)
    try:
        # Appending: whatever was read before, a new row is written behind the last one.
        with (root / _ROWS).open("a+b") as file:
            file.truncate(file.seek(0, os.SEEK_END) // width * width)  # a crash may have left a part of a row
            written = file.tell() // width
            while block := list(islice(records, _BLOCK)):
                rows = record_rows(_alike(block, spec, number))
                _compare(file.fileno(), rows, number, written, root)
                file.write(rows[max(0, written - number) :].tobytes())
                number += len(block)
                progress.at(number)
            if number < written:
                raise DataError(
                    f"{root}: has {written} records, and the source now gave only {number}; choose another directory"
                )
            file.flush()
            os.fsync(file.fileno())
    finally:
        progress.end()
    write_whole(root / _SPEC, encode(RecordDescription(spec, number)))


def _width(root: Path, spec: RecordSpec) -> int:
    """Return the bytes of a row."""
    width = sum(leaf.nbytes for leaf in spec)
    if not width:
        shapes = ", ".join(f"{leaf.path or '/'} of shape {leaf.shape}" for leaf in spec[:3])
        raise DataError(f"{root}: the records hold no number ({shapes}); expected at least one element in each record")
    return width


def _alike(block: list[PyTree], spec: RecordSpec, first: int) -> tuple[np.ndarray, ...]:
    try:
        return take(block, spec, np.arange(len(block)))
    except DataError as error:
        raise DataError(f"after record {first}: {error}") from error


def _compare(file: int, rows: np.ndarray, first: int, written: int, root: Path) -> None:
    """Refuse rows that are not those that were written before an interruption."""
    count, width = max(0, min(written - first, len(rows))), rows.shape[1]
    if os.pread(file, count * width, first * width) != rows[:count].tobytes():
        raise DataError(
            f"{root}: records {first} to {first + count - 1} are not those that were written before the interruption;"
            " records must come in the same order each time, or be written to another directory"
        )


def _read(root: Path) -> RecordDescription | None:
    file = root / _SPEC
    try:
        return decode(file.read_bytes(), RecordDescription, _SPEC) if file.exists() else None
    except ProofError as error:
        raise DataError(f"{root}: is no directory of records: {error}") from error
