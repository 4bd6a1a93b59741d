"""A signer's public key is a point of the curve of Ed25519 (RFC 8032), by which a commitment may name its prover.

A point of small order is refused: with such a "key" one signature can hold for every message, so that it names nobody.
A point that is not written canonically is refused too: one key has one text, which is compared as text.
"""

from __future__ import annotations

from typing import Final

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
"""The field's prime and the curve's constant, RFC 8032 section 5.1."""

_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})
"""The y coordinates of the eight points whose order divides 8."""


def problem_of_key(raw: bytes) -> str | None:
    """Return what is wrong with a key of 32 bytes (RFC 8032 section 5.1.3), in words, or None if nothing is."""
    # RFC 8032 writes y in 255 bits and the sign of x in the last one.
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number % 2**255
    if y >= _P or (sign and y in (1, _P - 1)):  # x is 0 at these two, and 0 has no sign
        return "not a canonical point of the curve"
    if y in _SMALL_ORDER:
        return "a point of small order, for which anyone can sign"
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    # Euler's criterion: a point exists only where x squared has a root.
    if pow(x_squared, (_P - 1) // 2, _P) != 1:
        return "not a point of the curve"
    return None
