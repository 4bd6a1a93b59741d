"""Entries as arrays: they are kept, and those that do not fit the sites of a program are refused."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pol_jax.errors import ProofError
from pol_jax.protocol.decision_entries import (
    Entries,
    SiteKind,
    common,
    count_entries,
    entries_by_site,
    overlaid,
    step_decisions,
    without,
)
from pol_jax.protocol.decisions import MAX_ENTRIES, SiteEntries, StepDecisions, check_decisions

SITES = (
    SiteKind("float32", 10, nested=False),
    SiteKind("bfloat16", 6, nested=True),
    SiteKind("float64", 4, nested=False),
)


def entries(*indices: int, dtype: str = "float32", value: float = 0.5) -> Entries:
    return Entries(np.array(indices, np.int64), np.full(len(indices), value).astype(np.dtype(dtype)))


def indices_below(size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, size - 1), unique=True, max_size=size).map(sorted)


@given(first=indices_below(10), second=indices_below(40), seed=st.integers(0, 99))
def test_what_is_written_is_read(first: list[int], second: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    given_entries = {
        0: Entries(np.array(first, np.int64), draw.normal(size=len(first)).astype(np.float32)),
        1: Entries(np.array(second, np.int64), draw.normal(size=len(second)).astype(ml_dtypes.bfloat16)),
    }
    stored = step_decisions(3, given_entries)
    assert (stored is None) == (not first and not second)
    if stored is not None:
        check_decisions((stored,), "it")
        found = entries_by_site(stored, SITES, "it")
        assert count_entries(found) == len(first) + len(second)
        for site, each in found.items():
            assert each.indices.tolist() == given_entries[site].indices.tolist()
            assert each.values.tobytes() == given_entries[site].values.tobytes()


def test_too_many_are_not_written() -> None:
    many = Entries(np.arange(MAX_ENTRIES + 1), np.zeros(MAX_ENTRIES + 1, np.float32))
    assert step_decisions(1, {0: many}) is None


def u64(*numbers: int) -> bytes:
    return np.array(numbers, "<u8").tobytes()


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (SiteEntries(3, u64(0), bytes(4)), "the program has 3 sites"),
        (SiteEntries(0, u64(10), bytes(4)), "index 10: the site has 10 elements"),
        (SiteEntries(0, u64(1), bytes(8)), "values are not of float32"),
        (SiteEntries(2, u64(1), np.array([np.nan]).tobytes()), "a value is not finite"),
        (SiteEntries(2, u64(1), np.array([np.inf]).tobytes()), "a value is not finite"),
    ],
)
def test_what_the_program_does_not_have_is_refused(site: SiteEntries, words: str) -> None:
    with pytest.raises(ProofError, match=words):
        entries_by_site(StepDecisions(1, (site,)), SITES, "it")


def test_a_site_in_a_loop_may_have_any_execution() -> None:
    found = entries_by_site(StepDecisions(1, (SiteEntries(1, u64(5, 6000), bytes(4)),)), SITES, "it")
    assert found[1].indices.tolist() == [5, 6000]


def test_entries_are_combined_by_site_and_index() -> None:
    ours, theirs = {0: entries(1, 4), 2: entries(0, dtype="float64")}, {0: entries(2, 4, value=0.25)}
    assert {site: each.indices.tolist() for site, each in without(ours, theirs).items()} == {0: [1], 2: [0]}
    assert {site: each.indices.tolist() for site, each in common(ours, theirs).items()} == {0: [4]}
    both = overlaid(ours, theirs)
    assert both[0].indices.tolist() == [1, 2, 4]
    assert both[0].values.tolist() == [0.5, 0.25, 0.25]
    assert both[2].indices.tolist() == [0]
