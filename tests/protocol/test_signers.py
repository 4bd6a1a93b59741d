"""A key is one point of the curve, in one spelling, and none for which anyone can sign."""

from __future__ import annotations

import ed25519_curve as curve

from pol_jax.protocol.signers import problem_of_key


def test_points_of_small_order_are_refused() -> None:
    for raw in curve.small_points():
        assert problem_of_key(raw) == "a point of small order, for which anyone can sign"


def test_of_numbers_that_are_no_canonical_points_none_is_taken() -> None:
    """The numbers are small, or large, or have a sign; another program decides which are points."""
    numbers = [*range(2, 30), *range(2**255 - 25, 2**255 + 25), *range(2**256 - 40, 2**256)]
    for number in numbers:
        raw = number.to_bytes(32, "little")
        point, problem = curve.decode(raw), problem_of_key(raw)
        if point is None:
            assert problem in {"not a point of the curve", "not a canonical point of the curve"}, number
        elif curve.encode(point) != raw:
            assert problem == "not a canonical point of the curve", number
        elif not curve.order_divides_8(point):
            assert problem is None, number
    assert {problem_of_key(number.to_bytes(32, "little")) for number in range(2, 30)} == {
        None,
        "not a point of the curve",
    }
