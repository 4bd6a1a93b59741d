"""Arithmetic of the curve of Ed25519, from RFC 8032 section 6 alone, to check what the package says of points."""

from __future__ import annotations

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def decode(raw: bytes) -> Point | None:
    """The point that ``raw`` encodes, without asking whether the encoding is canonical."""
    number = int.from_bytes(raw, "little")
    y, sign = number % 2**255 % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    if x * x % P != square:
        return None
    return (x if x % 2 == sign else -x % P), y


def encode(point: Point) -> bytes:
    return (point[1] + ((point[0] & 1) << 255)).to_bytes(32, "little")


def order_divides_8(point: Point) -> bool:
    for _ in range(3):
        point = add(point, point)
    return point == (0, 1)


def small_points() -> set[bytes]:
    """The canonical encodings of the eight points of small order: multiples of one of order 8, found by search."""
    order = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 200):
        start = decode(y.to_bytes(32, "little"))
        if start is None:
            continue
        found, power, scalar = (0, 1), start, order
        while scalar:
            if scalar & 1:
                found = add(found, power)
            power, scalar = add(power, power), scalar >> 1
        multiples, current = {encode((0, 1))}, found
        while current != (0, 1):
            multiples.add(encode(current))
            current = add(current, found)
        if len(multiples) == 8:
            return multiples
    raise AssertionError("no point of order 8 found")
