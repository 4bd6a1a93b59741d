"""A second implementation of BLS12-381, py_ecc, for what tests sign with.

Importing it raises Python's recursion limit for the whole process, to where other parsers crash; that is undone here.
"""

from __future__ import annotations

import sys

_LIMIT = sys.getrecursionlimit()

from py_ecc.bls.g2_primitives import G1_to_pubkey, G2_to_signature  # noqa: E402
from py_ecc.bls.hash_to_curve import hash_to_G1, hash_to_G2  # noqa: E402
from py_ecc.bls.point_compression import decompress_G1  # noqa: E402
from py_ecc.optimized_bls12_381 import (  # type: ignore[attr-defined]  # noqa: E402
    G1,
    G2,
    curve_order,
    is_inf,
    multiply,
)

sys.setrecursionlimit(_LIMIT)

__all__ = [
    "G1",
    "G2",
    "G1_to_pubkey",
    "G2_to_signature",
    "curve_order",
    "decompress_G1",
    "hash_to_G1",
    "hash_to_G2",
    "is_inf",
    "multiply",
]
