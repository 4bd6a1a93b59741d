"""Two environments side by side: what differs is marked, word by word in lists."""

from __future__ import annotations

import re

import msgspec
from example_reports import unfinished

from pol_jax.reports.html.environments import environments

EMPTY = unfinished()
OURS = msgspec.structs.replace(EMPTY.environment, cpu_features=("avx", "avx2"))


def page(**changes: object) -> str:
    claimed = msgspec.structs.replace(OURS, **changes)
    return environments(msgspec.structs.replace(EMPTY, environment=OURS, claimed_environment=claimed))


def test_equal_environments_have_no_mark() -> None:
    same = page()
    assert "The two environments are the same in everything that decides bits." in same
    assert "<mark>" not in same
    assert "differs" not in same


def test_what_differs_is_named_and_marked() -> None:
    found = page(jaxlib="0.0.1", cpu_features=("avx", "mmx"))
    assert "The two environments differ in jaxlib, cpu features." in found
    assert re.findall("<mark>(.*?)</mark>", found) == ["0.0.1", OURS.jaxlib, "mmx", "avx2"]
    assert found.count("\u2260 differs") == 2


def test_an_environment_that_is_not_known_is_compared_with_nothing() -> None:
    found = environments(msgspec.structs.replace(EMPTY, environment=OURS))
    assert "The claim could not be read, so the prover&#x27;s environment is not known." in found
    assert "<mark>" not in found
    assert "differ" not in found
    assert len(re.findall("\u2013</td>", found)) == len(OURS.__struct_fields__)
