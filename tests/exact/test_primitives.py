"""Each primitive has one way in which it is exact."""

from __future__ import annotations

from jax import lax

from pol_jax.exact.primitives import CONTROL, EXPENSIVE, OF_ANY_TYPE, OF_FLOATS, OF_INTEGERS, UNCHANGED


def test_no_primitive_has_two_rules_for_floats() -> None:
    tables = [UNCHANGED, CONTROL.keys(), OF_ANY_TYPE.keys(), OF_FLOATS.keys()]
    assert sum(map(len, tables)) == len(set[str]().union(*tables))


def test_what_stays_as_it_is_for_integers_has_another_rule_for_floats_or_none() -> None:
    assert not OF_INTEGERS & (UNCHANGED | CONTROL.keys())
    assert OF_FLOATS.keys() >= EXPENSIVE


def test_rules_stand_under_the_names_of_jax() -> None:
    """A rule under another name would never be used, and the operation would be refused."""
    known = {each.name for each in vars(lax).values() if hasattr(each, "bind") and hasattr(each, "name")}
    not_in_lax = {"add_any", "log2", "one_minus_square", "polynomial"}  # private, or of other versions of jax
    assert OF_FLOATS.keys() - known <= not_in_lax
