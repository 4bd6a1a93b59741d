"""The pages of a Parquet file, read by the second verifier: Thrift's compact protocol, and what section 5.1 demands."""

from __future__ import annotations

from typing import Any

from second_documents import need

PAGES = {0: (5, {2: 0, 3: 3, 4: 3}), 3: (8, {4: 0})}
"""By the type of a page: the number of its further header, and the encodings that are there (PLAIN is 0, RLE is 3)."""


def check_pages(content: bytes) -> None:
    """Refuse pages of another encoding, or that unpack to more than the footer says of their column."""
    size = int.from_bytes(content[-8:-4], "little")
    need(len(content) >= size + 12 and content[:4] == content[-4:] == b"PAR1", "footer")
    footer = Reader(content[-8 - size : -8]).struct()
    for column in (each for group in footer[4] for each in group[1]):
        notes = column[3]
        at, unpacked, values = notes[9], 0, 0
        end = at + notes[7]
        while at < end:
            reader = Reader(content, at)
            page = reader.struct()
            number, encodings = PAGES.get(page[1], (0, {}))
            need(number in page and all(page[number].get(each) == code for each, code in encodings.items()), "encoding")
            unpacked, values, at = unpacked + reader.at - at + page[2], values + page[number][1], reader.at + page[3]
        need(at == end and unpacked <= notes[6] and values == notes[5], "pages")


class Reader:
    """Reads values of Thrift's compact protocol from bytes."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content, self.at = content, at

    def take(self, count: int) -> bytes:
        need(0 <= count <= len(self.content) - self.at, "cut short")
        self.at += count
        return self.content[self.at - count : self.at]

    def varint(self) -> int:
        found = shift = 0
        while True:
            (byte,) = self.take(1)
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found
            need(shift < 70, "varint")

    def integer(self) -> int:
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def struct(self) -> dict[int, Any]:
        fields, number = dict[int, Any](), 0
        while True:
            (head,) = self.take(1)
            if head == 0:
                return fields
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = head & 15 == 1 if head & 15 in (1, 2) else self.value(head & 15)

    def value(self, kind: int) -> Any:
        match kind:
            case 3:
                return self.take(1)[0]
            case 4 | 5 | 6:
                return self.integer()
            case 7:
                return self.take(8)
            case 8:
                return self.take(self.varint())
            case 9 | 10:
                (head,) = self.take(1)
                count = head >> 4 if head >> 4 < 15 else self.varint()
                return [self.take(1) if head & 15 in (1, 2) else self.value(head & 15) for _ in range(count)]
        need(kind == 12, "kind")
        return self.struct()
