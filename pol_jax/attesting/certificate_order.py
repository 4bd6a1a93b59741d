"""The certificates in a timestamp are a set, which DER wants sorted, and ``openssl ts`` doesn't sort.

Many authorities are ``openssl ts``, and send their intermediate certificate too, so that their responses would be
refused by a parser that insists. Nothing signs this set or its order: sorting it changes no byte that is signed, and no
length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_SEQUENCE: Final = 0x30
_CONTEXT_0: Final = 0xA0
_MAX_CERTIFICATES: Final = 64

_PATH: Final = ((1, _SEQUENCE), (1, _CONTEXT_0), (0, _SEQUENCE), (3, _CONTEXT_0))
"""From a TimeStampResp to the certificates: its token, the content of that, SignedData, and the fourth field of this
(RFC 3161 section 2.4.2, RFC 5652 section 5.1). Each is a place among neighbours, and the tag that must be there."""


def sort_certificates(response: bytes) -> bytes:
    """Return a response with its certificates sorted; whatever has another form comes back as it is."""
    try:
        start, end = _find_certificates(response)
        elements = [response[begin:stop] for _, begin, _, stop in _elements(response, start, end)]
    except (IndexError, ValueError):
        return response
    return response[:start] + b"".join(sorted(elements)) + response[end:]


def _find_certificates(response: bytes) -> tuple[int, int]:
    """Return where the set's content begins and ends."""
    ((tag, _, start, end),) = _elements(response, 0, len(response))
    if tag != _SEQUENCE:
        raise ValueError
    for place, expected in _PATH:
        tag, _, start, end = list(_elements(response, start, end))[place]
        if tag != expected:
            raise ValueError
    return start, end


def _elements(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each element's tag, where it begins, where its content begins, and where it ends."""
    for _ in range(_MAX_CERTIFICATES):
        if at == end:
            return
        tag, length, start = content[at], content[at + 1], at + 2
        # The long form of a length: its low seven bits say how many bytes of length follow.
        if length > 0x80:
            start += length - 0x80
            length = int.from_bytes(content[at + 2 : start], "big")
        elif length == 0x80:  # an indefinite length, which is no DER
            raise ValueError
        if start + length > end:
            raise ValueError
        yield tag, at, start, start + length
        at = start + length
    raise ValueError
