"""The pages of a Parquet file are walked before they are unpacked: each says how large it will be.

The footer of a file says how large its columns are, but pyarrow unpacks what the headers of the pages say. A file of a
few bytes may claim gigabytes there. The headers are in Thrift's compact protocol, which is read strictly here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import pyarrow.parquet as pq

_TYPE, _UNPACKED, _PACKED, _VALUES = 1, 2, 3, 1
"""Numbers of the fields of a page's header: its type, its two sizes, and, further in, how many values it has."""

_HEADERS: Final = {0: 5, 3: 8}
"""The number of the field that has the further header of a data page, for each of the two types of them."""

_ENCODINGS: Final = {0: {2: 0, 3: 3, 4: 3}, 3: {4: 0}}
"""The encodings in that header, by the type of page: of values 0, PLAIN, and of levels 3, RLE, or no choice."""

_TRUE, _FALSE, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, 9, 10, 12
"""Numbers of the types in Thrift's compact protocol. A type that is not among them, such as a map, is refused."""
_ROW_GROUPS, _COLUMNS, _METADATA, _CODEC = 4, 1, 3, 4
"""Numbers of the fields of a footer on the way to the compression of a column."""

_FOOTER_DEPTH: Final = 8
"""Footers are nested deeper than the headers of pages."""

_DEEPEST: Final = 4
"""So deep may the header of a page be nested: without a bound, a hostile one ends in a RecursionError."""


def check_pages(content: bytes, column: pq.ColumnChunkMetaData) -> None:
    """Check that the pages of a column are no larger, unpacked, than the footer says, and have no other values.

    Their encodings are checked here too: the footer lists those of a column, and pyarrow decodes by those of the pages.

    Raises:
        ValueError: they are larger, in another encoding, or can't be read.
    """
    at, unpacked, values = column.data_page_offset, 0, 0
    end = at + column.total_compressed_size
    if not 0 <= at <= end <= len(content):
        raise ValueError("a column lies outside of the file")
    while at < end:
        header, body = _read_struct(content, at, 0)
        packed, size = _size(header, _PACKED), _size(header, _UNPACKED)
        kind = _size(header, _TYPE)
        counts = header.get(_HEADERS.get(kind, 0))
        if not isinstance(counts, dict):
            raise ValueError("a page has a header of another kind")
        if any(_size(counts, field) != encoding for field, encoding in _ENCODINGS[kind].items()):
            raise ValueError("a page has another encoding than PLAIN, so that its real size is not known")
        # Headers count too: Parquet's `total_uncompressed_size` includes them.
        unpacked, values, at = unpacked + body - at + size, values + _size(counts, _VALUES), body + packed
    if at != end or unpacked > column.total_uncompressed_size or values != column.num_values:
        raise ValueError("the pages of a column are larger than the footer says")


def codecs(content: bytes) -> frozenset[int]:
    """Return the numbers of the compressions of all columns, as the footer has them: 0 is none, and 6 is zstd.

    They are read here because pyarrow ends the whole process where one of them is no number of the specification.

    Raises:
        ValueError: the footer can't be read.
    """
    # A file ends with the footer, the footer's length in four bytes, and the mark PAR1.
    end = len(content) - 8
    start = end - int.from_bytes(content[end : end + 4], "little")
    if not 4 <= start <= end or not content.startswith(b"PAR1") or content[end + 4 :] != b"PAR1":
        raise ValueError("the file has no footer, or does not begin as Parquet does")
    return _codecs_of(content[start:])


@lru_cache(maxsize=256)
def _codecs_of(footer: bytes) -> frozenset[int]:
    """Return what `codecs` does. A file is read several times in a verification, and footers take long to parse."""
    # A depth below 0 leaves room for so many levels more.
    fields, _ = _read_struct(footer, 0, -_FOOTER_DEPTH)
    groups = _items(fields.get(_ROW_GROUPS))
    columns = [column for group in groups for column in _items(group.get(_COLUMNS))]
    return frozenset(_size(column.get(_METADATA, {}), _CODEC) for column in columns)


def _items(value: Any) -> list[dict[int, Any]]:
    """Return the structs of a list."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("the footer has a list of another kind")
    return value


def _size(fields: dict[int, Any], number: int) -> int:
    """Return a field that is no negative number."""
    value = fields.get(number)
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError("a page has a header that can't be read")
    return value


def _read_struct(content: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct by their numbers, and where it ends."""
    fields, number = dict[int, Any](), 0
    while True:
        head, at = _byte(content, at), at + 1
        if head == 0:
            return fields, at
        # The upper half of the byte is the distance from the number before; where it is 0, the number follows.
        if head >> 4:
            number += head >> 4
        else:
            number, at = _read_integer(content, at)
        # Of a field that is there twice, pyarrow might use the other one than was checked here.
        if number in fields or depth == _DEEPEST:
            raise ValueError("a page has a header that can't be read")
        fields[number], at = _read_value(content, at, head & 15, depth)


def _read_value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _BYTE:
        return _byte(content, at), at + 1
    if kind in _INTEGERS:
        return _read_integer(content, at)
    if kind == _BINARY:
        length, at = _read_varint(content, at)
        if at + length > len(content):
            raise ValueError("a page has a header that can't be read")
        return None, at + length
    if kind == _DOUBLE:
        _byte(content, at + 7)
        return None, at + 8
    if kind in (_LIST, _SET):
        return _read_list(content, at, depth)
    if kind == _STRUCT:
        return _read_struct(content, at, depth + 1)
    raise ValueError("a page has a header that can't be read")


def _read_list(content: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = _byte(content, at), at + 1
    size, kind, items = head >> 4, head & 15, list[Any]()
    # A length of 15 or more does not fit into the head, and follows it.
    if size == 15:
        size, at = _read_varint(content, at)
    if depth >= _DEEPEST:
        raise ValueError("a page has a header that can't be read")
    for _ in range(size):
        # An item that is a boolean takes a byte; elsewhere its value is in the field's head.
        item, at = (
            (_byte(content, at), at + 1) if kind in (_TRUE, _FALSE) else _read_value(content, at, kind, depth + 1)
        )
        items.append(item)
    return items, at


def _read_integer(content: bytes, at: int) -> tuple[int, int]:
    """Return an integer, which is stored with its sign in the lowest bit (zigzag), and where it ends."""
    number, at = _read_varint(content, at)
    return (number >> 1) ^ -(number & 1), at


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = 0
    # Ten groups of seven bits hold any number of 64 bits; more would be work without end.
    for shift in range(0, 70, 7):
        byte, at = _byte(content, at), at + 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a page has a header that can't be read")


def _byte(content: bytes, at: int) -> int:
    if not 0 <= at < len(content):
        raise ValueError("a page has a header that can't be read")
    return content[at]
